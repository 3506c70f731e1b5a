//! A notice: what happened, why, what to do. The same shape for every failure.

import { el } from './dom.ts';
import type { Words } from './words.ts';

export interface Action {
  label: string;
  run: () => void;
  primary?: boolean;
}

export function notice(words: Words & { code: string }, actions: Action[] = []): HTMLElement {
  return el(
    'div',
    { class: 'notice', role: 'alert', 'data-test': 'error', 'data-code': words.code },
    el('strong', {}, words.what),
    el('p', {}, words.why),
    el('p', { class: 'todo' }, words.todo),
    actions.length > 0 && el(
      'div',
      { class: 'notice-actions' },
      ...actions.map((action) => el('button', { class: `button ${action.primary === true ? 'primary' : ''}`, type: 'button', onclick: action.run }, action.label)),
    ),
  );
}
