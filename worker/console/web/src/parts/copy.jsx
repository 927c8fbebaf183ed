// Copying, also where browsers give pages no clipboard (plain HTTP on a network): then the text is shown, selected.
import { useState } from 'preact/hooks';
import { useEvent } from '../hooks.js';
import { Dialog } from './dialog.jsx';
import { say } from './toast.jsx';

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied ${what}.`);
  } catch {
    dispatchEvent(new CustomEvent('copybyhand', { detail: { text, what } }));
  }
}

export function CopyButton({ text, what, children, ...more }) {
  return <button type="button" onClick={() => copy(typeof text === 'function' ? text() : text, what)} {...more}>{children}</button>;
}

export function CopyDialog() {
  const [wanted, setWanted] = useState(null);
  useEvent('copybyhand', (event) => setWanted(event.detail));
  if (wanted === null) return null;
  return (
    <Dialog title="Copy" onClose={() => setWanted(null)}>
      <p>The browser gives this page no clipboard. Here is {wanted.what}, selected: <kbd>Ctrl</kbd> <kbd>C</kbd> copies it.</p>
      <textarea rows={8} readOnly autofocus spellcheck={false} aria-label={wanted.what} value={wanted.text}
        onFocus={(event) => event.currentTarget.select()} />
    </Dialog>
  );
}
