// Light or dark: as the system has it, unless the reader chose.
export type Theme = "system" | "light" | "dark";
const PLACE = "ayni.theme";

class Look {
  theme = $state<Theme>("system");

  constructor() {
    const chosen = localStorage.getItem(PLACE);
    this.choose(chosen === "light" || chosen === "dark" ? chosen : "system");
  }

  choose(theme: Theme): void {
    this.theme = theme;
    if (theme === "system") {
      localStorage.removeItem(PLACE);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(PLACE, theme);
      document.documentElement.dataset.theme = theme;
    }
  }
}

export const look = new Look();
