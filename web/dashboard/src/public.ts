// Starts the public explorer's page. It knows the explorer's small API and nothing of a node's own.
import { mount } from "svelte";
import "./app.css";
import Public from "./Public.svelte";

mount(Public, { target: document.getElementById("app") as HTMLElement });
