import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

const RETRY_MS = 2000;

// Loads when `key` changes, and again every `every` milliseconds while the page is visible. A failed load keeps
// what was there before, shows its problem, and is tried again: a server that was restarted is found again.
export function useLoad(load, key, { every = 0 } = {}) {
  const [state, setState] = useState({ data: undefined, problem: undefined, loading: true, key });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    const stop = new AbortController();
    let timer;
    const later = (milliseconds) => {
      timer = setTimeout(() => (document.hidden ? later(milliseconds) : run()), milliseconds);
    };
    const run = async () => {
      try {
        const data = await latest.current(stop.signal);
        if (stop.signal.aborted) return;
        setState({ data, problem: undefined, loading: false, key });
        if (every) later(every);
      } catch (problem) {
        if (stop.signal.aborted) return;
        setState((before) => ({ data: before.key === key ? before.data : undefined, problem, loading: false, key }));
        if (!problem.status || problem.status === 429 || problem.status >= 500) later(RETRY_MS);
      }
    };
    setState((before) => ({ ...before, loading: true }));
    run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, turn, every]);

  const reload = useCallback(() => setTurn((before) => before + 1), []);
  useEvent('tokenchange', reload);
  return { ...state, reload };
}

// The value once it has rested for so long.
export function useRested(value, milliseconds) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return rested;
}

export function useEvent(name, handler, target = window) {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const listener = (event) => latest.current(event);
    target.addEventListener(name, listener);
    return () => target.removeEventListener(name, listener);
  }, [name, target]);
}
