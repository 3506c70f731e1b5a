//! What a room looks like: head, scoreboard, stage, what lies over the stage, and on a phone the drawers. Decides nothing.

import { lyingTin, pole, wordmark } from './art.ts';
import type { Chat } from './chat.ts';
import { announce, el, fill, setText, svg } from './dom.ts';
import { linkTo } from './invite.ts';
import type { Panel } from './panel.ts';
import type { Sound } from './sound.ts';

/** How long a line of chat shows on the table. */
const BUBBLE_MS = 4000;
const LINE_SHOWN_MAX = 120;

export class Frame {
  readonly element: HTMLElement;
  readonly stage = el('div', { class: 'stage' });
  readonly overlay = el('div', { class: 'overlay' });
  readonly errors = el('div', { class: 'errors' });
  readonly score = el('output', { class: 'score', 'data-test': 'score', 'aria-label': 'Score' }, '0 : 0');
  readonly mine = el('span', { class: 'player-name' });
  readonly theirs = el('span', { class: 'player-name' });
  readonly goOn = el('button', { class: 'button', type: 'button', 'data-test': 'start', hidden: true }, 'Play on without the server');
  readonly #bubble = el('div', { class: 'bubble', 'aria-hidden': 'true', hidden: true });
  readonly #chat: Chat;
  readonly #panel: Panel;
  readonly #chatButton: HTMLElement;
  readonly #panelButton: HTMLElement;
  #bubbleTimer = 0;

  constructor(code: string, sound: Sound, chat: Chat, panel: Panel, leave: () => void) {
    this.#chat = chat;
    this.#panel = panel;
    this.#chatButton = this.#drawer('chat', chat.element, 'Chat');
    this.#panelButton = this.#drawer('panel', panel.element, panel.status);
    this.element = el(
      'main',
      { class: 'room' },
      el('header', { class: 'room-head' }, el('h1', { class: 'brand' }, wordmark()), chips(code, sound, leave)),
      el('div', { class: 'room-left' }, this.#scoreboard(), el('div', { class: 'stage-frame' }, this.stage, this.overlay, this.#bubble, this.errors), chat.element),
      panel.element,
      el('nav', { class: 'room-bar', 'aria-label': 'Drawers' }, this.#chatButton, this.#panelButton),
    );
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#open(undefined);
    });
  }

  /** Something that both should see happen. */
  moment(title: string, sentence: string, kind: 'tightening' | 'tight' | 'gone'): void {
    fill(
      this.overlay,
      el(
        'div',
        { class: `moment ${kind}`, 'data-test': 'moment' },
        svg('svg', { viewBox: '-60 -112 120 124', class: 'moment-art', 'aria-hidden': 'true' }, svg('path', { class: 'ground', d: 'M-60 4C-20 -2 20 2 60 -1V12H-60Z' }), pole(104)),
        el('strong', {}, title),
        el('p', {}, sentence),
      ),
    );
  }

  /** A line of chat: where the chat is in a drawer, it shows for a moment on the table. */
  bubble(name: string, text: string): void {
    if (this.#chat.element.dataset['open'] === 'yes') return;
    this.#chatButton.dataset['unread'] = 'yes';
    this.#bubble.hidden = false;
    fill(this.#bubble, el('b', {}, name), text.slice(0, LINE_SHOWN_MAX));
    window.clearTimeout(this.#bubbleTimer);
    this.#bubbleTimer = window.setTimeout(() => (this.#bubble.hidden = true), BUBBLE_MS);
  }

  #scoreboard(): HTMLElement {
    const tin = (whose: 'mine' | 'theirs'): SVGSVGElement =>
      svg('svg', { viewBox: '-2 -38 86 76', class: 'score-tin', 'aria-hidden': 'true' }, lyingTin(whose, whose === 'mine' ? 0 : 82, 0, 1, whose === 'theirs'));
    return el(
      'div',
      { class: 'scoreboard' },
      el('div', { class: 'player' }, tin('mine'), this.mine),
      el('div', { class: 'score-string' }, this.score),
      el('div', { class: 'player right' }, this.theirs, tin('theirs')),
      this.goOn,
    );
  }

  #drawer(name: 'chat' | 'panel', drawer: HTMLElement, label: HTMLElement | string): HTMLElement {
    return el(
      'button',
      { class: 'bar-button', type: 'button', 'aria-expanded': 'false', 'data-test': `open-${name}`, onclick: () => this.#open(drawer.dataset['open'] === 'yes' ? undefined : name) },
      label,
    );
  }

  /** One drawer is open at a time, or none. */
  #open(name: 'chat' | 'panel' | undefined): void {
    for (const [each, drawer, button] of [['chat', this.#chat.element, this.#chatButton], ['panel', this.#panel.element, this.#panelButton]] as const) {
      drawer.dataset['open'] = each === name ? 'yes' : 'no';
      button.setAttribute('aria-expanded', String(each === name));
    }
    if (name !== 'chat') return;
    delete this.#chatButton.dataset['unread'];
    this.#bubble.hidden = true;
    this.#chat.focus();
  }
}

function chips(code: string, sound: Sound, leave: () => void): HTMLElement {
  const copy = el('button', { class: 'chip code-chip', type: 'button', title: 'Copy the link', 'data-test': 'code-chip' }, code);
  copy.addEventListener('click', () => {
    void navigator.clipboard?.writeText(linkTo(code)).then(() => announce('The link is copied.'), () => undefined);
    copy.classList.add('done');
    window.setTimeout(() => copy.classList.remove('done'), 1200);
  });
  const words = (): string => (sound.on ? '♪ on' : '♪ off');
  const toggle = el('button', { class: 'chip', type: 'button', 'aria-pressed': String(sound.on), title: 'Sound' }, words());
  toggle.addEventListener('click', () => {
    sound.toggle();
    sound.wake();
    setText(toggle, words());
    toggle.setAttribute('aria-pressed', String(sound.on));
  });
  return el('div', { class: 'chips' }, copy, toggle, el('button', { class: 'chip', type: 'button', 'data-test': 'leave', onclick: leave }, 'Leave'));
}
