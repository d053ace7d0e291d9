// Starts the dashboard. It knows the node's public HTTP API and nothing else.
import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";

const target = document.getElementById("app") as HTMLElement;
target.replaceChildren();
mount(App, { target });
