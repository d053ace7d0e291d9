// How the dashboard is built: static files, one script, one style sheet, nothing from elsewhere.
// `cargo xtask dashboard` says where to; the node embeds what is there.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { examples } from "./examples";

export default defineConfig({
  plugins: [svelte(), examples()],
  build: {
    outDir: process.env.AYNI_DASHBOARD_OUT ?? "dist",
    emptyOutDir: true,
    // No `data:` addresses: the page's policy allows them for pictures only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
