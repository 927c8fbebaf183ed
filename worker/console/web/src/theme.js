// The theme: what the system says, or what the person chose on this browser.

const KEY = 'winnow.theme';
export const THEMES = ['system', 'light', 'dark'];

export function savedTheme() {
  const saved = localStorage.getItem(KEY);
  return THEMES.includes(saved) ? saved : 'system';
}

export function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

export function saveTheme(theme) {
  localStorage.setItem(KEY, theme);
  applyTheme(theme);
  // Charts are drawn on canvases and read their colours when drawn.
  dispatchEvent(new Event('themechange'));
}
