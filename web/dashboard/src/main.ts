// Starts the dashboard. It knows the node's public HTTP API and nothing else.
import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";

mount(App, { target: document.getElementById("app") as HTMLElement });
