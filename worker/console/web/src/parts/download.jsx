import { ask, token, url } from '../api.js';
import { sayProblem } from './toast.jsx';

// A browser follows links without our token: then the page fetches the file itself and hands it over.
async function fetchAndSave(address, filename) {
  try {
    const blob = await (await ask(address)).blob();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = filename;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (problem) {
    sayProblem(problem);
  }
}

export function Download({ path, query, filename, children }) {
  const address = url(path, query);
  const follow = (event) => {
    if (!token.get()) return;
    event.preventDefault();
    fetchAndSave(address, filename);
  };
  return <a class="button" href={address} download={filename} onClick={follow}>{children}</a>;
}
