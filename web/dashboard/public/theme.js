// The chosen theme, before anything is painted: what came later would flash. `src/lib/theme.svelte.ts`
// keeps the choice.
const theme = localStorage.getItem("ayni.theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
