// The frame around the views: header with the verdict, navigation, keyboard, theme, and what is said in passing.
import { Component } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { startLive, useConnection } from './live.js';
import { token } from './api.js';
import { startSession, useSession } from './session.js';
import { go, href, useRoute } from './route.js';
import { THEMES, savedTheme, saveTheme } from './theme.js';
import { useEvent } from './hooks.js';
import { Verdict } from './parts/verdict.jsx';
import { CopyDialog } from './parts/copy.jsx';
import { Dialog } from './parts/dialog.jsx';
import { Toasts } from './parts/toast.jsx';
import { TokenDialog } from './parts/token.jsx';
import { Submit } from './views/submit.jsx';
import { Processed } from './views/processed.jsx';
import { Failed } from './views/failed.jsx';
import { Aggregates } from './views/aggregates.jsx';
import { Live } from './views/live.jsx';
import { Workers } from './views/workers.jsx';

const VIEWS = [
  { name: 'submit', title: 'Submit', View: Submit },
  { name: 'processed', title: 'Processed', View: Processed },
  { name: 'failed', title: 'Failed', View: Failed },
  { name: 'aggregates', title: 'Aggregates', View: Aggregates },
  { name: 'live', title: 'Live', View: Live },
  { name: 'workers', title: 'Workers', View: Workers },
];

startLive();
startSession();

function Navigation({ current }) {
  return (
    <nav aria-label="Views">
      <ul>
        {VIEWS.map(({ name, title }) => (
          <li key={name}>
            <a href={href(name)} aria-current={name === current ? 'page' : undefined}>{title}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(savedTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const change = () => {
    saveTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" class="quiet icon" onClick={change} title={`Theme: ${theme}. Change to ${next}`}
      aria-label={`Theme: ${theme}. Change to ${next}`}>
      <span aria-hidden="true">{{ system: '◐', light: '☀', dark: '☾' }[theme]}</span>
    </button>
  );
}

function Connection() {
  const state = useConnection();
  const said = { open: 'live', connecting: 'connecting', lost: 'reconnecting' }[state];
  return <span class={`connection ${state}`} role="status">{said}</span>;
}

function Footer() {
  const session = useSession();
  return (
    <footer>
      <a href="/docs">API reference</a> <a href="/openapi.json">OpenAPI</a> <a href="/licenses.txt">Licenses</a>
      {session.known && (
        <span class="muted">
          topic {session.topic} · group {session.group} · {session.actor} ({session.role}{session.read_only && ', read-only'})
          {' · '}winnow {session.version}
        </span>
      )}
      {session.known && token.get() && <button type="button" onClick={() => token.set('')}>Forget the token</button>}
    </footer>
  );
}

function KeysDialog({ onClose }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {VIEWS.map(({ name, title }, index) => [
          <dt key={name}><kbd>{index + 1}</kbd></dt>, <dd key={`${name}.`}>{title}</dd>])}
        <dt><kbd>/</kbd></dt><dd>to the first filter</dd>
        <dt><kbd>?</kbd></dt><dd>this list</dd>
        <dt><kbd>Esc</kbd></dt><dd>close</dd>
        <dt><kbd>Ctrl</kbd> <kbd>Enter</kbd></dt><dd>in an editor: send</dd>
      </dl>
    </Dialog>
  );
}

function isTyping(target) {
  return target.closest('input, textarea, select, dialog') !== null;
}

function useKeys(showKeys) {
  useEvent('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const view = VIEWS[Number(event.key) - 1];
    if (view) {
      go(view.name);
    } else if (event.key === '/') {
      document.querySelector('main input, main textarea')?.focus();
      event.preventDefault();
    } else if (event.key === '?') {
      showKeys();
    }
  });
}

// On another view the title changes, and focus goes to its heading, for those who do not see it.
function useAnnouncedView(view, heading) {
  const first = useRef(true);
  useEffect(() => {
    document.title = `${view.title} – winnow`;
    if (!first.current) heading.current?.focus();
    first.current = false;
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [view]);
}

// A view that fails leaves the frame and the other views standing.
class Guard extends Component {
  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    console.error(error);
  }

  render({ children }, { error }) {
    if (!error) return children;
    return <p class="notice bad" role="alert">This view failed: {error.message}. <a href="">Load the page anew</a></p>;
  }
}

export function App() {
  const route = useRoute();
  const [keys, setKeys] = useState(false);
  const view = VIEWS.find(({ name }) => name === route.view) ?? VIEWS[0];
  const heading = useRef(null);
  useAnnouncedView(view, heading);
  useKeys(() => setKeys(true));
  const skip = (event) => {
    event.preventDefault();
    heading.current.focus();
  };
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>Skip to the view</a>
      <header class="top">
        <a class="brand" href={href('submit')}><img src="/icon.svg" alt="" width="22" height="22" />winnow</a>
        <Verdict />
        <Connection />
        <button type="button" class="quiet icon" onClick={() => setKeys(true)} aria-label="Keys" title="Keys (?)">?</button>
        <ThemeButton />
        <Navigation current={view.name} />
      </header>
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>{view.title}</h1>
        <Guard key={view.name}><view.View params={route.params} /></Guard>
      </main>
      <Footer />
      <Toasts />
      <TokenDialog />
      <CopyDialog />
      {keys && <KeysDialog onClose={() => setKeys(false)} />}
    </>
  );
}
