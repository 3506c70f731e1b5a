//! The first page: open a lobby, or join one by code, link or list.

import type { ListedLobby, Lobby, LobbyList, Net } from 'twocan';
import { bird, padlock, wordmark } from './art.ts';
import { Checkup } from './checkup.ts';
import { el, fill, setText, svg } from './dom.ts';
import { notice } from './notice.ts';
import { record } from './record.ts';
import { recall, remember } from './store.ts';
import { wordsForError } from './words.ts';

const NAME_MAX = 24;
const CODE_LETTERS = /[^23456789ABCDEFGHJKMNPRSTVWXYZ]/g;
const MOODS = ['Brave', 'Calm', 'Clever', 'Jolly', 'Lucky', 'Merry', 'Nimble', 'Proud', 'Quick', 'Sunny', 'Tiny', 'Witty'];
const NAMES = ['Tomato', 'Peach', 'Sardine', 'Bean', 'Olive', 'Cherry', 'Pea', 'Plum', 'Corn', 'Pear', 'Tuna', 'Apricot'];

/** From a click to a word about the server that does not answer. */
const SLOW_MS = 2_500;
const LIVE = 'This list keeps itself up to date';

export interface StartHooks {
  /** Where to meet; empty: where the page came from. */
  /** The session at the server; rejects where there is none. */
  net(): Promise<Net>;
  enter(lobby: Lobby, net: Net): void;
  /** Called at every click that may open sound later. */
  wake(): void;
}

export class Start {
  readonly element: HTMLElement;
  readonly #hooks: StartHooks;
  readonly #name = el('input', { class: 'field', type: 'text', 'data-test': 'name', maxlength: NAME_MAX, autocomplete: 'nickname', id: 'name', spellcheck: 'false' });
  readonly #public = el('input', { type: 'checkbox', 'data-test': 'public', id: 'public' });
  readonly #password = el('input', { class: 'field', type: 'text', 'data-test': 'password', maxlength: 60, autocomplete: 'off', id: 'password', placeholder: 'none' });
  readonly #size = el('select', { class: 'field', 'data-test': 'size', id: 'size' }, ...[2, 3, 4, 8].map((size) => el('option', { value: size }, size === 2 ? '2 cans' : `${size} cans (2 play, others watch)`)));
  readonly #create = el('button', { class: 'button primary', type: 'submit', 'data-test': 'create' }, 'Open a lobby');
  readonly #code = el('input', { class: 'field code-field', type: 'text', 'data-test': 'join-code', maxlength: 60, autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false', id: 'code', placeholder: 'ED84' });
  readonly #joinPassword = el('input', { class: 'field', type: 'text', 'data-test': 'join-password', maxlength: 60, autocomplete: 'off', id: 'join-password', placeholder: 'if it has one' });
  readonly #join = el('button', { class: 'button primary', type: 'submit', 'data-test': 'join' }, 'Join');
  readonly #wrong = el('p', { class: 'field-error', id: 'wrong-password', role: 'alert', hidden: true });
  readonly #quick = el('button', { class: 'button', type: 'button', 'data-test': 'quick' }, 'Play with anybody');
  readonly #invited = el('p', { class: 'invited', hidden: true });
  readonly #errors = el('div', { class: 'errors' });
  readonly #list = el('ul', { class: 'lobbies', 'data-test': 'list' });
  readonly #live = el('p', { class: 'live', 'data-test': 'server-state', 'data-state': 'connecting' }, 'Calling the server …');
  readonly #off: (() => void)[] = [];
  #followed: Net | undefined;
  #watching: LobbyList | undefined;
  #retry = 0;
  #busy = false;
  #gone = false;

  constructor(hooks: StartHooks, invite: string | undefined) {
    this.#hooks = hooks;
    this.#name.value = recall('name') ?? '';
    this.#name.placeholder = `${oneOf(MOODS)} ${oneOf(NAMES)}`;
    this.#public.checked = recall('public') !== 'no';
    this.#size.value = recall('size') ?? '2';
    this.#code.addEventListener('input', () => this.#tidyCode());
    this.#joinPassword.setAttribute('aria-describedby', 'wrong-password');
    this.#quick.addEventListener('click', () => void this.#doQuick());
    // Enter in one's name goes on with what the page is opened for.
    this.#name.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return;
      event.preventDefault();
      if (this.#code.value === '') void this.#doCreate();
      else void this.#doJoin(this.#code.value);
    });
    this.element = this.#build();
    if (invite !== undefined) this.invite(invite);
    void this.watch();
  }

  destroy(): void {
    this.#gone = true;
    for (const off of this.#off) off();
    clearTimeout(this.#retry);
    this.#watching?.close();
  }

  /** Somebody followed a link. */
  invite(code: string): void {
    this.#code.value = code.toUpperCase();
    this.#tidyCode();
    this.#invited.hidden = false;
    setText(this.#invited, `Somebody holds a can for you: ${this.#code.value}`);
    setText(this.#join, `Join ${this.#code.value}`);
    this.element.dataset['invited'] = 'yes';
    window.setTimeout(() => (this.#name.value === '' ? this.#name : this.#join).focus());
  }

  fail(error: unknown): void {
    const words = wordsForError(error);
    // A server that is still away is told once, not at every try.
    if (this.#errors.querySelector(`[data-code="${words.code}"]`) && words.code === 'unreachable') return;
    record('page', 'error', words.code);
    fill(this.#errors, notice(words));
    this.#errors.scrollIntoView({ block: 'nearest' });
  }

  /** Keeps the list alive, through cut sockets and restarts of the server. */
  async watch(): Promise<void> {
    clearTimeout(this.#retry);
    try {
      this.#state('connecting', 'Calling the server …');
      const net = await this.#hooks.net();
      if (this.#gone) return;
      this.#follow(net);
      const list = await net.lobbies();
      if (this.#gone) return list.close();
      this.#watching = list;
      list.on('change', (lobbies) => this.#show(lobbies));
      list.on('close', () => this.#again());
      this.#show(list.all());
      this.#state('connected', LIVE);
      if (this.#errors.querySelector('[data-code="unreachable"]')) fill(this.#errors);
    } catch (error) {
      if (this.#gone) return;
      this.#state('lost', 'No server. Trying again …');
      if (!this.#busy) this.fail(error);
      this.#again();
    }
  }

  /** Says where the server stands, while this page is open. */
  #follow(net: Net): void {
    if (this.#followed === net) return;
    this.#followed = net;
    this.#off.push(
      net.on('reconnecting', () => this.#state('lost', 'The server is out of reach. Trying again …')),
      net.on('resumed', () => this.#state('connected', LIVE)),
      net.on('closed', () => this.#again()),
    );
  }

  #again(): void {
    this.#watching = undefined;
    if (this.#gone) return;
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => void this.watch(), 2500);
  }

  #state(state: string, words: string): void {
    this.#live.dataset['state'] = state;
    setText(this.#live, words);
    // Rows of a list that nobody keeps up to date lead nowhere.
    if (state === 'lost') for (const row of this.#list.querySelectorAll('button')) row.disabled = true;
  }

  #build(): HTMLElement {
    const open = el(
      'form',
      { class: 'card open-card', onsubmit: (event: Event) => { event.preventDefault(); void this.#doCreate(); } },
      el('h2', {}, 'Take a can'),
      el('div', { class: 'row two' }, labelled('password', 'Password', this.#password), labelled('size', 'Seats', this.#size)),
      el('div', { class: 'row go' }, el('label', { class: 'check' }, this.#public, el('span', {}, 'Show it in the list')), this.#quick, this.#create),
    );
    const join = el(
      'form',
      { class: 'card join-card', onsubmit: (event: Event) => { event.preventDefault(); void this.#doJoin(this.#code.value); } },
      el('h2', {}, 'Pick up the other one'),
      this.#invited,
      el('div', { class: 'row join' }, labelled('code', 'Code', this.#code), labelled('join-password', 'Password', this.#joinPassword), this.#join),
      this.#wrong,
    );
    return el(
      'main',
      { class: 'start' },
      el(
        'header',
        { class: 'hero' },
        el('h1', { class: 'brand' }, wordmark()),
        el('p', { class: 'tagline' }, 'Two cans and a piece of string. Once the string is tight, nobody stands in between.'),
      ),
      el('div', { class: 'who card' }, el('label', { for: 'name' }, 'Your name'), this.#name),
      this.#errors,
      el('div', { class: 'start-grid' }, el('div', { class: 'start-forms' }, open, join), el('section', { class: 'card list-card' }, el('h2', {}, 'Waiting for somebody'), this.#live, this.#list)),
      el(
        'ol',
        { class: 'steps' },
        step('1', 'You meet at the server', 'One opens a lobby, the other comes by code, link or list.'),
        step('2', 'The string goes tight', 'Both try every way to each other. Direct beats relayed; relayed beats nothing.'),
        step('3', 'The server lets go', 'It forgets the lobby. You play on, with nobody in between.'),
      ),
      new Checkup().element,
    );
  }

  #tidyCode(): void {
    const text = this.#code.value;
    const after = text.includes('#') ? text.slice(text.lastIndexOf('#') + 1) : text;
    this.#code.value = after.toUpperCase().replace(/[\s-]/g, '').slice(0, 10);
  }

  #show(lobbies: readonly ListedLobby[]): void {
    if (lobbies.length === 0) {
      fill(this.#list, el('li', { class: 'nobody' }, quietString(), 'Nobody at the moment. Open a lobby, and you are the first.'));
      return;
    }
    fill(this.#list, ...lobbies.map((lobby) => this.#row(lobby)));
  }

  #row(lobby: ListedLobby): HTMLElement {
    const host = typeof lobby.data['host'] === 'string' && lobby.data['host'] !== '' ? lobby.data['host'].slice(0, NAME_MAX) : 'Somebody';
    const full = lobby.members >= lobby.size;
    const closed = full || lobby.locked;
    const button = el(
      'button',
      { class: 'lobby', type: 'button', 'data-test': 'list-item', 'data-code': lobby.code, disabled: closed },
      el('span', { class: 'lobby-code' }, lobby.code),
      el('span', { class: 'lobby-host' }, host),
      el('span', { class: 'lobby-marks' }, lobby.password && padlock(), el('span', { class: 'seats', 'aria-label': `${lobby.members} of ${lobby.size} seats taken` }, `${lobby.members}/${lobby.size}`)),
      el('span', { class: 'lobby-go' }, lobby.locked ? 'locked' : full ? 'full' : 'Join'),
    );
    button.addEventListener('click', () => {
      if (lobby.password && this.#joinPassword.value === '') {
        this.#code.value = lobby.code;
        setText(this.#join, `Join ${lobby.code}`);
        this.#invited.hidden = false;
        setText(this.#invited, `${lobby.code} asks for a password.`);
        this.#joinPassword.focus();
        return;
      }
      void this.#doJoin(lobby.code);
    });
    return el('li', {}, button);
  }

  #me(): { name: string } {
    const name = this.#name.value.trim() || this.#name.placeholder;
    if (this.#name.value.trim() !== '') remember('name', name);
    return { name };
  }

  #doCreate(): Promise<void> {
    remember('public', this.#public.checked ? 'yes' : 'no');
    remember('size', this.#size.value);
    const me = this.#me();
    const password = this.#password.value;
    return this.#enter(this.#create, (net) =>
      net.create({ public: this.#public.checked, size: Number(this.#size.value), me, data: { host: me.name, game: 'string' }, ...(password === '' ? {} : { password }) }),
    );
  }

  #doJoin(text: string): Promise<void> {
    const code = text.trim();
    if (code === '') {
      this.#code.focus();
      return Promise.resolve();
    }
    if (code.replace(CODE_LETTERS, '') !== code) {
      this.fail({ code: 'not-found' });
      return Promise.resolve();
    }
    const password = this.#joinPassword.value;
    return this.#enter(this.#join, (net) => net.join(code, { me: this.#me(), ...(password === '' ? {} : { password }) }), (error) => {
      // The list shows that there is such a lobby: so it is the password.
      const isThere = this.#watching?.all().some((lobby) => lobby.password && lobby.code === code) ?? false;
      if (!isThere || password === '' || (error as { code?: string }).code !== 'not-found') return false;
      this.#wrong.hidden = false;
      setText(this.#wrong, `That is not the password of ${code}.`);
      this.#joinPassword.select();
      record('page', 'error', 'not-found');
      return true;
    });
  }

  /** Into any lobby that waits, or one of one's own in the list. */
  #doQuick(): Promise<void> {
    const me = this.#me();
    return this.#enter(this.#quick, (net) => net.quick({ game: 'string' }, { size: 2, me, data: { host: me.name, game: 'string' } }));
  }

  async #enter(button: HTMLButtonElement, how: (net: Net) => Promise<Lobby>, explains: (error: unknown) => boolean = () => false): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    this.#hooks.wake();
    button.dataset['busy'] = 'yes';
    fill(this.#errors);
    this.#wrong.hidden = true;
    // A click that nothing comes of for a while is not left without a word.
    const slow = window.setTimeout(() => this.fail({ code: 'unreachable' }), SLOW_MS);
    try {
      const net = await this.#hooks.net();
      this.#hooks.enter(await how(net), net);
    } catch (error) {
      if (!explains(error)) this.fail(error);
    } finally {
      clearTimeout(slow);
      this.#busy = false;
      delete button.dataset['busy'];
    }
  }
}

/** What there is to see where nobody waits. */
function quietString(): SVGSVGElement {
  return svg(
    'svg',
    { viewBox: '0 0 260 74', class: 'quiet', 'aria-hidden': 'true' },
    svg('path', { class: 'twine', d: 'M4 40Q130 76 256 40' }),
    svg('path', { class: 'twine-lay', d: 'M4 40Q130 76 256 40' }),
    svg('g', { transform: 'translate(150 54)' }, bird()),
  );
}

function oneOf(words: readonly string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? '';
}

function labelled(id: string, text: string, field: HTMLElement): HTMLElement {
  return el('div', { class: 'labelled' }, el('label', { for: id }, text), field);
}

function step(number: string, title: string, text: string): HTMLElement {
  return el('li', { class: 'step' }, el('span', { class: 'step-number', 'aria-hidden': 'true' }, number), el('div', {}, el('strong', {}, title), el('p', {}, text)));
}
