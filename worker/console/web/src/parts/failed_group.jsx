// Retry or discard all open failures of one reason and client. The server takes at most 1,000 at once.
import { useState } from 'preact/hooks';
import { post } from '../api.js';
import { count, plural } from '../format.js';
import { AT_ONCE, inTurns } from '../in_turns.js';
import { ProblemNotice } from './bits.jsx';
import { Dialog } from './dialog.jsx';
import { say, sayProblem } from './toast.jsx';

// Takes back what was discarded just now. Ranges that were taken back already are passed over by the server.
async function undoAll(body, ranges, onUndone) {
  try {
    let sum = 0;
    for (const range of ranges) {
      sum += (await post('/api/v1/failed/undo', { ...body, ...range, limit: AT_ONCE })).undone;
    }
    say(`${plural(sum, 'failure')} open again.`);
  } catch (problem) {
    sayProblem(problem, { action: { label: 'Undo', run: () => undoAll(body, ranges, onUndone) } });
  }
  onUndone();
}

function GroupAction({ group, title, path, done, verb, noteRequired, danger, explain, undo, onClose, onUndone }) {
  const [note, setNote] = useState('');
  const [progress, setProgress] = useState(null);
  const [problem, setProblem] = useState();
  const submit = async (event) => {
    event.preventDefault();
    setProblem(undefined);
    setProgress(0);
    const which = { reason: group.reason, client_id: group.client_id };
    const ask = (limit) => post(path, { ...which, ...(note && { note }), limit });
    let did = { sum: 0, ranges: [] };
    let failed;
    try {
      for await (did of inTurns(group.count, done, ask)) setProgress(did.sum);
    } catch (thrown) {
      failed = thrown;
    }
    if (failed && did.sum === 0) {
      setProblem(failed);
      setProgress(null);
      return;
    }
    // Behind an open dialog nobody could reach the button.
    onClose();
    if (failed) sayProblem(failed);
    const action = undo && did.sum > 0 && { label: 'Undo', run: () => undoAll(which, did.ranges, onUndone) };
    say(`${plural(did.sum, 'failure')} ${done}.`, action ? { action } : {});
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <p>{plural(group.count, 'open failure')}: <code>{group.reason}</code> of <bdi>{group.client_id ?? 'an unknown client'}</bdi>. {explain}</p>
        <label>Note{noteRequired ? '' : ' (optional)'}
          <input name="note" value={note} maxlength={500} required={noteRequired} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        <ProblemNotice problem={problem} />
        <div class="buttons">
          <button type="submit" class={danger ? 'danger' : 'primary'} disabled={progress !== null}>
            {progress === null ? `${verb} ${count(group.count)}` : `${count(progress)} of ${count(group.count)}…`}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function RetryGroup(props) {
  return <GroupAction {...props} title="Retry group" path="/api/v1/failed/retry" done="retried" verb="Retry"
    explain="They are sent again as they are, oldest first." />;
}

export function DiscardGroup(props) {
  return <GroupAction {...props} title="Discard group" path="/api/v1/failed/discard" done="discarded" verb="Discard" noteRequired danger undo
    explain="They are put aside with your note. Nothing is deleted: all can be taken back now, and each in the state “discarded” later." />;
}
