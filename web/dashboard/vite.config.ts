// How the dashboard is built: static files, one script, one style sheet, nothing from elsewhere.
// `cargo xtask dashboard` says where to; the node embeds what is there. `--mode explorer` builds the
// page of the public explorer instead, into a folder of that name: it shares parts, not files.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { examples } from "./examples";

const OUT = process.env.AYNI_DASHBOARD_OUT ?? "dist";

export default defineConfig(({ mode }) => ({
  plugins: mode === "explorer" ? [svelte()] : [svelte(), examples()],
  build: {
    outDir: mode === "explorer" ? `${OUT}/explorer` : OUT,
    rollupOptions: { input: mode === "explorer" ? "explorer.html" : "index.html" },
    emptyOutDir: true,
    // No `data:` addresses: the page's policy allows them for pictures only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
}));
