import { useState } from 'preact/hooks';
import { token } from '../api.js';
import { useEvent } from '../hooks.js';
import { Dialog } from './dialog.jsx';

// Asks for a token when the server wants one. It is kept for this tab alone and forgotten with it.
export function TokenDialog() {
  const [asked, setAsked] = useState(false);
  useEvent('tokenneeded', () => setAsked(true));
  if (!asked) return null;
  const submit = (event) => {
    event.preventDefault();
    token.set(event.currentTarget.elements.token.value.trim());
    setAsked(false);
  };
  return (
    <Dialog title="Token" onClose={() => setAsked(false)}>
      <form onSubmit={submit}>
        <p>{token.get() ? 'The console does not know the token of this tab. ' : 'This console shows itself to those with a token. '}
          Whoever runs it gives you one. It is forgotten when the tab is closed.</p>
        <label>Token <input name="token" type="password" autocomplete="off" autofocus required /></label>
        <p class="buttons"><button type="submit" class="primary">Use it in this tab</button></p>
      </form>
    </Dialog>
  );
}
