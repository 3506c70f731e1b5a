//! What the page remembers of its visitor, for good or as long as the tab is open; all of it can be missing.

type Key = 'name' | 'sound' | 'public' | 'size';

/** Also touching the storage throws where a browser forbids it: then all is forgotten, as its owner wished. */
function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

export const recall = (key: Key): string | undefined => attempt(() => localStorage.getItem(`twocan.${key}`)) ?? undefined;
export const remember = (key: Key, value: string): void => attempt(() => localStorage.setItem(`twocan.${key}`, value));

/** The same for this tab alone. */
export const recallInTab = (key: 'lobby'): string | undefined => attempt(() => sessionStorage.getItem(`twocan.${key}`)) ?? undefined;
export const rememberInTab = (key: 'lobby', value: string): void => attempt(() => sessionStorage.setItem(`twocan.${key}`, value));
