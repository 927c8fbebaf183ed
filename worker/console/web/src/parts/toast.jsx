import { useEffect, useRef, useState } from 'preact/hooks';

const SHOWN_MS = 8000;
let add = () => {};
let numbers = 0;

// Says something in passing. action: { label, run } adds a button, such as Undo.
export function say(text, { bad = false, action } = {}) {
  numbers += 1;
  add({ number: numbers, text, bad, action });
}

export function sayProblem(problem, { action } = {}) {
  say(`${problem.title}: ${problem.message}`, { bad: true, action });
}

function Toast({ toast, onDone }) {
  useEffect(() => {
    const timer = setTimeout(onDone, toast.bad || toast.action ? 2 * SHOWN_MS : SHOWN_MS);
    return () => clearTimeout(timer);
  }, []);
  const act = () => {
    toast.action.run();
    onDone();
  };
  return (
    <div class={`toast ${toast.bad ? 'bad' : ''}`}>
      <span>{toast.text}</span>
      {toast.action && <button type="button" onClick={act}>{toast.action.label}</button>}
      <button type="button" class="quiet icon" aria-label="Dismiss" onClick={onDone}>×</button>
    </div>
  );
}

export function Toasts() {
  const [toasts, setToasts] = useState([]);
  const element = useRef(null);
  useEffect(() => {
    add = (toast) => setToasts((before) => [...before.slice(-3), toast]);
  }, []);
  // Shown anew each time, so that they lie above a dialog that was opened since.
  useEffect(() => {
    if (element.current.matches(':popover-open')) element.current.hidePopover();
    if (toasts.length > 0) element.current.showPopover();
  }, [toasts]);
  const remove = (number) => setToasts((before) => before.filter((toast) => toast.number !== number));
  return (
    <div class="toasts" popover="manual" role="status" aria-live="polite" ref={element}>
      {toasts.map((toast) => <Toast key={toast.number} toast={toast} onDone={() => remove(toast.number)} />)}
    </div>
  );
}
