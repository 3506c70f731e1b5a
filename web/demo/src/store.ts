//! What the page remembers of its visitor; all of it can be missing.

type Key = 'name' | 'sound' | 'public' | 'size';

export function recall(key: Key): string | undefined {
  try {
    return localStorage.getItem(`twocan.${key}`) ?? undefined;
  } catch {
    return undefined;
  }
}

export function remember(key: Key, value: string): void {
  try {
    localStorage.setItem(`twocan.${key}`, value);
  } catch {
    // A private window: then it is forgotten, as its owner wished.
  }
}
