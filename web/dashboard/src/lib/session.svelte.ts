// Whether this browser is logged in. The cookie is the browser's affair; the key that goes with it
// is kept where only pages of this very port can read it.
const PLACE = "ayni.key";

class SessionState {
  key = $state<string | null>(localStorage.getItem(PLACE));

  get isIn(): boolean {
    return this.key !== null;
  }

  begin(key: string): void {
    localStorage.setItem(PLACE, key);
    this.key = key;
  }

  forget(): void {
    localStorage.removeItem(PLACE);
    this.key = null;
  }
}

export const session = new SessionState();
