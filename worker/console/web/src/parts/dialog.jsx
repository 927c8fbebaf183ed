import { useEffect, useId, useRef } from 'preact/hooks';

// A modal dialog; the browser keeps the focus inside, closes it on Escape and gives the focus back.
export function Dialog({ title, onClose, wide = false, children }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    element.current.showModal();
  }, []);
  const outside = (event) => event.target === element.current && element.current.close();
  return (
    <dialog ref={element} class={wide ? 'wide' : undefined} aria-labelledby={id} onClose={onClose} onClick={outside}>
      <div class="dialog">
        <header>
          <h2 id={id}>{title}</h2>
          <button type="button" class="quiet icon" aria-label="Close" onClick={() => element.current.close()}>×</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
