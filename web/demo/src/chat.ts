//! The chat: what the lobby's members say to each other, over their own strings.

import { el } from './dom.ts';

const TEXT_MAX = 500;
const LINES_MAX = 300;
/** Lines that come within one frame, at most. */
const LINES_A_FRAME = 20;

export class Chat {
  readonly element: HTMLElement;
  /** Lines for the next frame. */
  readonly #waiting: (() => HTMLLIElement)[] = [];
  readonly #log = el('ol', { class: 'chat-log', 'data-test': 'chat-log', 'aria-live': 'polite', 'aria-label': 'Chat', tabindex: 0 });
  readonly #input = el('input', {
    type: 'text',
    class: 'field',
    'data-test': 'chat-input',
    'aria-label': 'Say something',
    placeholder: 'Say something …',
    maxlength: TEXT_MAX,
    autocomplete: 'off',
    enterkeyhint: 'send',
    disabled: true,
  });
  readonly #button = el('button', { class: 'button', 'data-test': 'chat-send', type: 'submit', disabled: true }, 'Send');

  constructor(say: (text: string) => void) {
    const form = el('form', { class: 'chat-form', onsubmit: (event: Event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      if (text === '') return;
      this.#input.value = '';
      say(text);
    } }, this.#input, this.#button);
    this.#input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#input.blur();
    });
    this.element = el('section', { class: 'chat card', 'aria-label': 'Chat' }, this.#log, form);
    this.note('Words go over the string, not over the server: they need somebody at the other end.');
  }

  enable(on: boolean): void {
    this.#input.disabled = !on;
    this.#button.disabled = !on;
  }

  focus(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
    if (!this.#input.disabled) this.#input.focus();
  }

  said(name: string, text: string, whose: 'mine' | 'theirs'): void {
    const shown = text.slice(0, TEXT_MAX);
    this.#add(() => el('li', { class: `said ${whose}` }, el('b', {}, name), el('span', {}, shown)));
  }

  note(text: string): void {
    this.#add(() => el('li', { class: 'note' }, text));
  }

  /** Lines are shown once a frame, however many come, and of very many the last: a flood costs its words, not the game. */
  #add(line: () => HTMLLIElement): void {
    if (this.#waiting.length === 0) requestAnimationFrame(() => this.#show());
    this.#waiting.push(line);
    if (this.#waiting.length > LINES_A_FRAME) this.#waiting.shift();
  }

  #show(): void {
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    this.#log.append(...this.#waiting.splice(0).map((line) => line()));
    while (this.#log.childElementCount > LINES_MAX) this.#log.firstElementChild?.remove();
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }
}
