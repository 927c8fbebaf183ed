// What the server says would become of an event: the canonical form, rule by rule, and whether it is new.
import { ask } from '../api.js';
import { useLoad, useRested } from '../hooks.js';
import { href } from '../route.js';
import { Canonical, ProblemNotice, origin } from './bits.jsx';

const TYPING_MS = 150;

async function explain(text, signal) {
  const response = await ask('/api/v1/explain', {
    method: 'POST', body: text, signal, headers: { 'Content-Type': 'application/json' },
  });
  return response.json();
}

function Fields({ fields }) {
  return (
    <table>
      <caption class="visually-hidden">Which rule gave each field</caption>
      <thead><tr><th scope="col">field</th><th scope="col">value</th><th scope="col">because</th></tr></thead>
      <tbody>
        {fields.map((field) => (
          <tr key={field.field}>
            <th scope="row">{field.field}</th>
            <td><code>{field.value ?? field.as_written ?? '–'}</code></td>
            <td>
              <ul class="rules">
                {field.rules.map(({ rule, says }, index) => <li key={index}><code>{rule}</code>{says}</li>)}
              </ul>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Answer({ said }) {
  if (!said.accepted) {
    return (
      <>
        <p><span class="badge bad">would fail</span> <code>{said.reason}</code></p>
        <p class="notice bad">{said.detail}</p>
      </>
    );
  }
  return (
    <>
      <p>
        <span class="badge good">accepted</span>{' '}
        {said.duplicate === true && <span class="badge warn">would be a duplicate</span>}
        {said.duplicate === false && <span class="badge info">new</span>}
        {said.duplicate === null && <span class="badge">whether it is new is not known now</span>}
      </p>
      {said.duplicate && (
        <p>Stored already, from <code>{origin(said.duplicate_of)}</code>:{' '}
          <a href={href('processed', { hash: said.event.event_hash })}>show it</a>.</p>
      )}
      <Canonical event={said.event} />
    </>
  );
}

// turn: changes when the same text should be explained again.
export function Explanation({ text, turn = 0 }) {
  const rested = useRested(text, TYPING_MS);
  const { data, problem } = useLoad((signal) => explain(rested, signal), `${turn} ${rested}`);
  return (
    <div class="explanation">
      <ProblemNotice problem={problem} />
      <div aria-live="polite">{data && <Answer said={data} />}</div>
      {data?.fields.length > 0 && <Fields fields={data.fields} />}
    </div>
  );
}
