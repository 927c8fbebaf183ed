// A view's filters live in the address; a field writes there once the person has stopped typing.
import { useEffect, useRef, useState } from 'preact/hooks';
import { go } from '../route.js';

const TYPING_MS = 300;

function useField(value, write) {
  const [text, setText] = useState(value);
  const timer = useRef();
  // When the timer ends, other fields may have been written: then the latest counts, not that of the last key.
  const latest = useRef(write);
  latest.current = write;
  useEffect(() => {
    clearTimeout(timer.current);
    setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (next) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => latest.current(next.trim()), TYPING_MS);
  };
  return [text, change];
}

function Field({ view, params, name, label, ...more }) {
  const [text, change] = useField(params[name] ?? '', (value) => go(view, { ...params, [name]: value }, { replace: true }));
  return (
    <label>{label}
      <input name={name} value={text} autocomplete="off" spellcheck={false} onInput={(event) => change(event.currentTarget.value)}
        {...more} />
    </label>
  );
}

function Choice({ view, params, name, label, options }) {
  const choose = (event) => go(view, { ...params, [name]: event.currentTarget.value }, { replace: true });
  return (
    <label>{label}
      <select name={name} value={params[name] ?? ''} onChange={choose}>
        {options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
      </select>
    </label>
  );
}

// fields: { name, label, options?, ...attributes of the input }
export function Filters({ view, params, fields, keep = {} }) {
  // What is being typed is not written after Clear: the fields are made anew.
  const [cleared, setCleared] = useState(0);
  const clear = () => {
    setCleared(cleared + 1);
    go(view, keep, { replace: true });
  };
  return (
    <form class="filters" role="search" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      {fields.map(({ name, options, ...more }) => (options
        ? <Choice key={`${cleared} ${name}`} view={view} params={params} name={name} options={options} {...more} />
        : <Field key={`${cleared} ${name}`} view={view} params={params} name={name} {...more} />))}
      <button type="button" onClick={clear}>Clear</button>
    </form>
  );
}

// The named parameters, without those that are empty.
export function chosen(params, names) {
  return Object.fromEntries(names.filter((name) => params[name]).map((name) => [name, params[name]]));
}
