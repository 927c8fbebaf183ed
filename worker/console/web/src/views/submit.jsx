// Write an event, see what it would become, send it, and follow it to its end.
import { useRef, useState } from 'preact/hooks';
import { ask, post } from '../api.js';
import { EXAMPLES } from '../examples.js';
import { ProblemNotice } from '../parts/bits.jsx';
import { CopyButton } from '../parts/copy.jsx';
import { Explanation } from '../parts/explanation.jsx';
import { Sent } from '../parts/sent.jsx';
import { say, sayProblem } from '../parts/toast.jsx';
import { plural } from '../format.js';
import { asCurl, asKcat, eventLines } from '../event_text.js';
import { maySubmit, mayOperate, useSession, whyNot } from '../session.js';
import { track, useSubmissions } from '../submissions.js';

const OUTAGE_S = 10;
const DRAFT_KEY = 'winnow.draft';

async function send(text, simulate) {
  const lines = eventLines(text);
  const response = await ask('/api/v1/events', {
    method: 'POST',
    body: text,
    headers: {
      'Content-Type': lines.length > 1 ? 'application/x-ndjson' : 'application/json',
      ...(simulate && { 'Winnow-Simulate-Failure': 'database' }),
    },
  });
  const answer = await response.json();
  const submissions = answer.submissions ?? [answer];
  // The latest are followed one by one.
  submissions.slice(-20).forEach((submission, index, those) => track(submission, lines[lines.length - those.length + index]));
  return submissions.length;
}

function Examples({ onChoose }) {
  const choose = (event) => {
    if (event.currentTarget.value !== '') onChoose(EXAMPLES[event.currentTarget.value].text);
    event.currentTarget.value = '';
  };
  return (
    <label>Example
      <select onChange={choose}>
        <option value="">Choose one…</option>
        {EXAMPLES.map(({ name }, index) => <option key={name} value={index}>{name}</option>)}
      </select>
    </label>
  );
}

function Outage({ session }) {
  const [asked, setAsked] = useState(false);
  const cut = async () => {
    setAsked(true);
    try {
      await post('/api/v1/faults/database-outage', { seconds: OUTAGE_S });
      say(`The workers are cut off the database for ${OUTAGE_S} seconds. What is sent now waits as “processing”.`);
    } catch (problem) {
      sayProblem(problem);
    }
    setAsked(false);
  };
  return (
    <button type="button" disabled={asked || !mayOperate(session)} onClick={cut}>
      Cut the database off for {OUTAGE_S} s
    </button>
  );
}

function Faults({ session, simulate, setSimulate }) {
  if (!session.fault_injection) return null;
  return (
    <fieldset class="faults">
      <legend>Simulate a failure of the database</legend>
      <label class="check">
        <input type="checkbox" checked={simulate} onChange={(event) => setSimulate(event.currentTarget.checked)} />
        PostgreSQL refuses this event’s row
      </label>
      <Outage session={session} />
    </fieldset>
  );
}

function useDraft() {
  const [text, setText] = useState(() => sessionStorage.getItem(DRAFT_KEY) ?? EXAMPLES[0].text);
  const keep = (value) => {
    setText(value);
    try {
      sessionStorage.setItem(DRAFT_KEY, value);
    } catch {
      sessionStorage.removeItem(DRAFT_KEY); // too long to be kept through a reload
    }
  };
  return [text, keep];
}

function Editor({ text, setText, onSend }) {
  const keys = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onSend();
    }
  };
  return (
    <label>Event
      <textarea rows={10} spellcheck={false} autocapitalize="off" autocomplete="off" value={text} onKeyDown={keys}
        onInput={(event) => setText(event.currentTarget.value)} />
    </label>
  );
}

function useSending(text, simulate) {
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState();
  const busy = useRef(false);
  const submit = async () => {
    if (busy.current) return;
    busy.current = true;
    setSending(true);
    setProblem(undefined);
    try {
      const sent = await send(text, simulate);
      if (sent > 1) say(`${plural(sent, 'event')} sent.`);
    } catch (thrown) {
      setProblem(thrown);
    }
    busy.current = false;
    setSending(false);
  };
  return { sending, problem, submit };
}

export function Submit() {
  const session = useSession();
  const submissions = useSubmissions();
  const [text, setText] = useDraft();
  const [simulate, setSimulate] = useState(false);
  const { sending, problem, submit } = useSending(text, simulate);
  const lines = eventLines(text);
  const refused = whyNot(session, maySubmit);
  const settled = submissions.filter(({ state }) => state === 'completed').length;
  const copying = { simulate, session, place: location.origin };
  return (
    <>
      <div class="columns">
        <section class="card">
          <Examples onChoose={setText} />
          <Editor text={text} setText={setText} onSend={() => !refused && submit()} />
          <Faults session={session} simulate={simulate} setSimulate={setSimulate} />
          <div class="buttons">
            <button type="button" class="primary" disabled={sending || !maySubmit(session)} onClick={submit}>
              {sending ? 'Sending…' : lines.length > 1 ? `Send ${lines.length} events` : 'Send'}
            </button>
            <CopyButton text={() => asCurl(text, copying)} what="a curl command">Copy as curl</CopyButton>
            <CopyButton text={() => asKcat(text, copying)} what="a kcat command">Copy as kcat</CopyButton>
          </div>
          {refused && <p class="notice warn">{refused}</p>}
          <ProblemNotice problem={problem} />
        </section>
        <section class="card">
          <h2>{lines.length > 1 ? `What becomes of the first of ${lines.length}` : 'What becomes of it'}</h2>
          <Explanation text={lines[0]} turn={settled} />
        </section>
      </div>
      <Sent submissions={submissions} />
    </>
  );
}
