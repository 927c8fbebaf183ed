import 'uplot/dist/uPlot.min.css';
import './style.css';
import { render } from 'preact';
import { App } from './app.jsx';
import { applyTheme, savedTheme } from './theme.js';

applyTheme(savedTheme());
render(<App />, document.getElementById('app'));
