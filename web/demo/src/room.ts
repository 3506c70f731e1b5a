//! A lobby on the page: who is here, the invitation, the moment when the server lets go, the match, and every way it can end.

import type { Failure, Lobby, Message, Net, Peer, PeerState } from 'twocan';
import { trace } from 'twocan/trace';
import { Chat } from './chat.ts';
import { fill, setText } from './dom.ts';
import { Frame } from './frame.ts';
import { Table } from './game/table.ts';
import { invitation } from './invite.ts';
import { type Action, notice } from './notice.ts';
import { Panel } from './panel.ts';
import { exposed, record, recordLobby } from './record.ts';
import type { Sound } from './sound.ts';
import { wordsForError, wordsForFailure } from './words.ts';

/** `letting-go`: the string is tight, and the server is about to go. */
export type RoomPhase = 'alone' | 'connecting' | 'letting-go' | 'playing' | 'over';

/** How long the moment when the server lets go stands on the table. */
const MOMENT_MS = 2600;
/** How long the tight string is shown before the server is asked to let go. */
const TIGHT_MS = 900;
/** With a server that does not let go in this time, the match begins all the same. */
const PATIENCE_MS = 8000;

export class Room {
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #lobby: Lobby;
  readonly #net: Net;
  readonly #leave: (invite?: string) => void;
  readonly #chat: Chat;
  readonly #panel: Panel;
  readonly #table: Table;
  readonly #sound: Sound;
  /** Also of those who have left. */
  readonly #names = new Map<string, string>();
  readonly #off: (() => void)[] = [];
  #reachable = true;
  #opponent: string | undefined;
  /** For those who watch: who plays against the owner. */
  #watched: string | undefined;
  /** Who played last: named until somebody else comes. */
  #last: string | undefined;
  #ended = false;
  #closing = false;

  constructor(lobby: Lobby, net: Net, sound: Sound, leave: (invite?: string) => void) {
    this.#lobby = lobby;
    this.#net = net;
    this.#sound = sound;
    this.#leave = leave;
    recordLobby(lobby);
    this.#panel = new Panel(lobby, (peer) => this.#nameOf(peer));
    this.#chat = new Chat((text) => this.#say(text));
    this.#table = new Table(sound, {
      send: (bytes) => this.#sendGame(bytes),
      score: (mine, theirs) => setText(this.#frame.score, `${mine} : ${theirs}`),
      theirName: () => this.#nameOr(this.#watched ?? this.#opponent, 'The other side'),
    });
    exposed.game = this.#table;
    this.#frame = new Frame(lobby.code, sound, this.#chat, this.#panel, () => void this.leave());
    this.element = this.#frame.element;
    this.#frame.goOn.addEventListener('click', () => void this.#letGo());
    this.#listen();
    this.#phase('alone');
    this.#refresh();
    if (lobby.members.length > 1) this.#arrived();
    else if (lobby.state === 'complete') this.#lookAround();
  }

  destroy(): void {
    for (const off of this.#off) off();
    this.#panel.destroy();
    this.#table.destroy();
    exposed.game = undefined;
  }

  /** Says goodbye and goes back to the start. */
  async leave(invite?: string): Promise<void> {
    this.#ended = true;
    await this.#lobby.leave().catch(() => undefined);
    this.#leave(invite);
  }

  // ── what is on the page ──────────────────────────────────────────────────────────────────────────────────────────

  #phase(phase: RoomPhase): void {
    if (this.element.dataset['phase'] === phase) return;
    this.element.dataset['phase'] = phase;
    record('page', 'phase', phase);
    if (phase === 'alone') fill(this.#frame.stage, invitation(this.#lobby.code, this.#details()));
    else if (this.#frame.stage.firstChild !== this.#table.element) fill(this.#frame.stage, this.#table.element);
    if (phase === 'alone' || phase === 'playing') fill(this.#frame.overlay);
  }

  #details(): string[] {
    const lobby = this.#lobby;
    return [
      lobby.public ? 'in the public list' : 'not listed',
      lobby.password ? 'with a password' : 'no password',
      `${lobby.size} seats`,
    ];
  }

  #refresh(): void {
    const lobby = this.#lobby;
    const them = this.#opponent ?? [...lobby.peers.keys()][0] ?? (this.#ending() ? this.#last : undefined);
    this.#last = them ?? this.#last;
    setText(this.#frame.mine, this.#nameOf(this.#watched === undefined ? lobby.me : lobby.owner));
    setText(this.#frame.theirs, this.#nameOr(this.#watched ?? them, '…'));
    const open = this.#openPeers();
    this.#chat.enable(open.length > 0);
    const playing = this.element.dataset['phase'] === 'playing';
    this.#frame.goOn.hidden = !(playing && this.#reachable && lobby.isOwner && lobby.state === 'open' && open.length > 0 && open.length === lobby.peers.size);
  }

  #nameOf(peer: string): string {
    const member = this.#lobby.members.find((other) => other.peer === peer);
    const name = (member?.me ?? this.#lobby.peers.get(peer)?.me)?.['name'];
    if (typeof name === 'string' && name.trim() !== '') this.#names.set(peer, name.trim().slice(0, 24));
    return this.#names.get(peer) ?? `Tin ${peer.slice(0, 3)}`;
  }

  #ending(): boolean {
    return this.#lobby.state === 'complete' || this.#lobby.state === 'gone';
  }

  #nameOr(peer: string | undefined, otherwise: string): string {
    return peer === undefined ? otherwise : this.#nameOf(peer);
  }

  /** Whether anybody is at the other end of a string, or on the way there. */
  #anybody(): boolean {
    return [...this.#lobby.peers.values()].some((peer) => peer.state !== 'failed' && peer.state !== 'closed');
  }

  #openPeers(): Peer[] {
    return [...this.#lobby.peers.values()].filter((peer) => peer.state === 'open' || peer.state === 'mending');
  }

  // ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

  #listen(): void {
    const lobby = this.#lobby;
    const net = this.#net;
    this.#off.push(
      trace(lobby, (event) => this.#panel.trace(event)),
      lobby.on('arrive', (member) => {
        this.#chat.note(`${this.#nameOf(member.peer)} picked up a can.`);
        this.#arrived();
      }),
      lobby.on('peer', (peer) => this.#linked(peer)),
      lobby.on('message', (message, peer) => this.#message(message, peer)),
      lobby.on('fail', (failure) => this.#failed(failure)),
      lobby.on('leave', (member, why) => {
        const name = this.#nameOf(member.peer);
        this.#chat.note(why === 'kicked' ? `${name} was shown out.` : why === 'lost' ? `${name} was away for too long.` : `${name} left.`);
        if (why !== 'lost' || !this.#openPeers().some((peer) => peer.id === member.peer)) this.#gone(member.peer);
      }),
      lobby.on('away', (member) => {
        this.#chat.note(`${this.#nameOf(member.peer)} is away. The can is kept for them.`);
        if (this.element.dataset['phase'] === 'playing' && this.#opponent === member.peer) this.#panel.caption(`${this.#nameOf(member.peer)} is away for a moment …`);
        this.#refresh();
      }),
      lobby.on('back', (member) => {
        this.#chat.note(`${this.#nameOf(member.peer)} is back.`);
        this.#refresh();
      }),
      lobby.on('owner', () => {
        this.#refresh();
        if (lobby.isOwner) this.#seat();
      }),
      lobby.on('update', () => this.#refresh()),
      lobby.on('sealed', () => this.#refresh()),
      lobby.on('unsealed', () => this.#refresh()),
      lobby.on('complete', () => this.#complete()),
      lobby.on('removed', (why) => this.#removed(why)),
      net.on('reconnecting', (attempt) => {
        if (attempt === 1) this.#server('reconnecting');
      }),
      net.on('resumed', (kept) => {
        if (kept) this.#server('connected');
      }),
      net.on('closed', (code) => this.#server(lobby.state === 'complete' || code === 1000 ? 'let-go' : 'lost')),
    );
  }

  #server(state: 'connected' | 'reconnecting' | 'let-go' | 'lost'): void {
    this.#panel.server(state);
    this.#reachable = state === 'connected';
    this.#refresh();
    if (this.#ended || this.#lobby.state === 'complete') return;
    const playing = this.#openPeers().length > 0;
    if (state === 'lost') {
      this.#chat.note(playing ? 'The server is gone. Your string holds: play on.' : 'The server is gone.');
      if (!playing) this.#fail(wordsForError({ code: 'unreachable' }), [{ label: 'Back to the start', run: () => void this.leave(), primary: true }]);
    } else if (state === 'reconnecting' && playing) this.#chat.note('The server is out of reach. Your string holds: play on.');
    else if (state === 'reconnecting') this.#panel.caption('The server is out of reach. Trying again …');
    else if (state === 'connected') this.#chat.note('The server is back.');
  }

  /** Back after the server had let go, by a page that knows nothing of before: the others are met at the server, once they miss us. */
  #lookAround(): void {
    this.#phase('connecting');
    this.#panel.caption('You are back. Looking for the other can …');
    this.#frame.moment('Picking up your can again …', 'The others notice in a moment, and the string is tied anew.', 'tightening');
  }

  /** Somebody is here besides us, and the link is on its way. */
  #arrived(): void {
    const lobby = this.#lobby;
    const other = [...lobby.peers.keys()][0] ?? lobby.members.find((member) => member.peer !== lobby.me)?.peer;
    if (other === undefined) return;
    this.#panel.show(this.#opponent ?? other);
    if (this.element.dataset['phase'] === 'alone') {
      this.#phase('connecting');
      this.#panel.caption(`${this.#nameOf(other)} holds the other can. Trying every way at once …`);
      this.#frame.moment('Tightening the string …', `Looking for the shortest way to ${this.#nameOf(other)}.`, 'tightening');
    }
    this.#refresh();
  }

  #linked(peer: Peer): void {
    this.#off.push(peer.on('state', (state) => this.#changed(peer, state)));
    fill(this.#frame.errors);
    this.#chat.note(`The string to ${this.#nameOf(peer.id)} is tight.`);
    this.#sound.pluck(4);
    this.#panel.caption(`The string is tight, tied in ${Math.round(peer.connectMs ?? 0)} ms.`);
    this.#refresh();
    const lobby = this.#lobby;
    // Back after a reload, it is known only now.
    if (lobby.state === 'complete') void this.#relays();
    if (lobby.size > 2 || lobby.state !== 'open' || this.element.dataset['phase'] === 'playing') {
      if (lobby.isOwner) this.#seat();
      return;
    }
    this.#phase('letting-go');
    this.#frame.moment('The string is tight!', `You and ${this.#nameOf(peer.id)} are connected. The server may go now.`, 'tight');
    if (!lobby.isOwner) return;
    window.setTimeout(() => void this.#letGo(), TIGHT_MS);
    window.setTimeout(() => {
      if (this.element.dataset['phase'] === 'letting-go' && lobby.state !== 'complete') this.#seat();
    }, PATIENCE_MS);
  }

  #changed(peer: Peer, state: PeerState): void {
    this.#refresh();
    if (state === 'closed' && this.#lobby.peers.has(peer.id)) {
      // Another link to the same peer is on its way, and the game waits for it.
      this.#panel.caption('The string broke. Tying a new one …');
    } else if (state === 'closed') {
      // A lobby that the server has lost tells nothing of who leaves.
      if (this.#lobby.state === 'gone' && !this.#ended) this.#chat.note(`${this.#nameOf(peer.id)} left.`);
      this.#gone(peer.id);
    }
    if (state === 'mending') {
      const away = this.#lobby.members.find((member) => member.peer === peer.id)?.away ?? false;
      this.#panel.caption(away ? `${this.#nameOf(peer.id)} is away for a moment …` : 'The string went slack. Tying it again …');
    }
    if (state === 'open') {
      fill(this.#frame.errors);
      this.#panel.caption('The string is tight again.');
    }
  }

  /** The owner asks the server to let go of everyone. */
  async #letGo(): Promise<void> {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    this.#frame.goOn.disabled = true;
    try {
      await this.#lobby.start();
    } catch (error) {
      if (this.#ended) return;
      const words = wordsForError(error);
      this.#chat.note(`${words.what} ${words.why}`);
      if (this.#openPeers().length > 0) this.#seat();
    } finally {
      this.#closing = false;
      this.#frame.goOn.disabled = false;
      this.#refresh();
    }
  }

  #complete(): void {
    this.#panel.server('let-go');
    this.#refresh();
    void this.#farewell();
    if (this.element.dataset['phase'] === 'playing') {
      window.setTimeout(() => fill(this.#frame.overlay), MOMENT_MS);
      return;
    }
    window.setTimeout(() => {
      if (!this.#ended && this.#lobby.isOwner) this.#seat();
    }, MOMENT_MS);
  }

  /** Whether the server's relay carries a string; if so, the panel says it. */
  async #relays(): Promise<boolean> {
    const paths = await Promise.all(this.#openPeers().map((peer) => peer.stats().then(({ path }) => path, () => undefined)));
    const relayed = paths.includes('relayed');
    if (relayed && !this.#ended) this.#panel.server('relays');
    return relayed;
  }

  /** What becomes of the server: nothing any more, or its relay carries every packet. */
  async #farewell(): Promise<void> {
    const relayed = await this.#relays();
    if (this.#ended) return;
    const sentence = relayed ? 'It has forgotten the lobby. No direct way was found, so its relay carries the string.' : 'It has forgotten you. You’re still talking.';
    this.#panel.caption(relayed ? 'The lobby is forgotten. The server’s relay carries your string.' : 'The server has forgotten you. You’re still talking.');
    this.#chat.note(relayed ? 'The server has forgotten this lobby. Its relay goes on carrying what you say, and cannot read it.' : 'The server has forgotten this lobby. From here on it is only you.');
    this.#frame.moment('The server lets go', sentence, 'gone');
  }

  /** The owner says who plays: itself and the first whose link is up. The others watch. */
  #seat(): void {
    const lobby = this.#lobby;
    const open = this.#openPeers();
    const guest = open.find((peer) => peer.id === this.#opponent) ?? open[0];
    if (!guest || this.#ended) return;
    void lobby.all.send('reliable', { type: 'seats', guest: guest.id }).catch(() => undefined);
    if (this.#table.role === 'owner' && this.#opponent === guest.id) return;
    this.#opponent = guest.id;
    this.#watched = undefined;
    this.#begin('owner');
  }

  #begin(role: 'owner' | 'guest' | 'watch'): void {
    this.#phase('playing');
    this.#panel.show(this.#opponent);
    this.#refresh();
    this.#table.begin(role);
    record('page', 'match', role);
    if (role === 'watch') this.#chat.note('All cans are taken: you watch.');
  }

  #message(message: Message, peer: Peer): void {
    if (message.channel === 'unreliable') {
      if (!(message.data instanceof Uint8Array)) return;
      const from = this.#table.role === 'owner' ? this.#opponent : this.#lobby.owner;
      if (peer.id === from) this.#table.receive(message.data);
      return;
    }
    if (message.channel !== 'reliable' || typeof message.data !== 'object' || message.data === null) return;
    const data = message.data as Record<string, unknown>;
    if (data['type'] === 'chat' && typeof data['text'] === 'string') this.#heard(this.#nameOf(peer.id), data['text']);
    if (data['type'] === 'seats' && typeof data['guest'] === 'string' && peer.id === this.#lobby.owner) {
      const role = data['guest'] === this.#lobby.me ? 'guest' : 'watch';
      const watched = role === 'watch' ? data['guest'] : undefined;
      if (this.#table.role === role && this.#opponent === peer.id && this.#watched === watched) return;
      this.#opponent = peer.id;
      this.#watched = watched;
      this.#begin(role);
    }
  }

  /** A line of chat from the other side; where the chat is in a drawer, it shows for a moment on the table. */
  #heard(name: string, text: string): void {
    this.#chat.said(name, text, 'theirs');
    this.#frame.bubble(name, text);
  }

  #say(text: string): void {
    this.#chat.said(this.#nameOf(this.#lobby.me), text, 'mine');
    this.#lobby.all.send('reliable', { type: 'chat', text }).catch(() => this.#chat.note('That did not arrive: nobody is at the other end.'));
  }

  #sendGame(bytes: Uint8Array): void {
    const lobby = this.#lobby;
    if (this.#table.role === 'owner') {
      for (const peer of this.#openPeers()) void peer.send('unreliable', bytes).catch(() => undefined);
    } else {
      const owner = lobby.peers.get(this.#opponent ?? lobby.owner);
      if (owner && (owner.state === 'open' || owner.state === 'mending')) void owner.send('unreliable', bytes).catch(() => undefined);
    }
  }

  // ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────

  #failed(failure: Failure): void {
    this.#refresh();
    const peer = this.#lobby.peers.get(failure.peer);
    const actions: Action[] = [];
    if (peer) actions.push({ label: 'Try again', run: () => { fill(this.#frame.errors); peer.retry(); }, primary: true });
    if (this.#lobby.isOwner && this.#lobby.state === 'open' && peer) {
      actions.push({ label: 'Show them out', run: () => { fill(this.#frame.errors); void this.#lobby.kick(peer, { ban: false }).catch(() => undefined); } });
    }
    actions.push({ label: 'Leave', run: () => void this.leave() });
    this.#panel.caption('The string did not hold.');
    this.#fail(wordsForFailure(failure.reason), actions);
  }

  /** This member is not at the other end any more. */
  #gone(peer: string): void {
    this.#refresh();
    if (this.#ended) return;
    if (this.#opponent === peer) {
      this.#opponent = undefined;
      this.#watched = undefined;
      this.#table.end();
    }
    const lobby = this.#lobby;
    if (lobby.isOwner && this.#openPeers().length > 0) {
      this.#seat();
      return;
    }
    if (this.#anybody()) return;
    if (this.#ending()) {
      this.#phase('over');
      this.#panel.caption('The other can is down. The string lies on the floor.');
      this.#fail(
        { what: 'The other side let go of the string.', why: 'They left, or their connection was lost for good. The server knows nothing of it: it has forgotten you both.', todo: 'Open a new lobby and send them the link.', code: 'link-closed' },
        [{ label: 'Back to the start', run: () => void this.leave(), primary: true }],
      );
    } else {
      this.#panel.show(undefined);
      this.#panel.caption('Nobody holds the other can any more.');
      fill(this.#frame.errors);
      this.#phase('alone');
    }
  }

  #removed(why: 'kicked' | 'lobby-closed' | 'session-lost'): void {
    if (this.#ended) return;
    if (why === 'session-lost' && this.#openPeers().length > 0) {
      this.#panel.server('forgotten');
      this.#panel.caption('The server lost its memory. Your string holds: play on.');
      this.#chat.note('The server has forgotten this lobby before it was time. Your string holds: play on.');
      this.#refresh();
      return;
    }
    this.#table.end();
    this.#phase('over');
    const back: Action = { label: 'Back to the start', run: () => void this.leave(), primary: true };
    if (why === 'kicked') this.#fail({ what: 'You were shown out.', why: 'The owner of the lobby removed you.', todo: 'Open a lobby of your own, or join another.', code: 'kicked' }, [back]);
    else if (why === 'lobby-closed') this.#fail({ what: 'The lobby was closed.', why: 'The server has removed it.', todo: 'Open a new one, or join another.', code: 'lobby-closed' }, [back]);
    else this.#fail(wordsForError({ code: 'session-lost' }), [{ label: 'Join again', run: () => void this.leave(this.#lobby.code), primary: true }, { label: 'Back to the start', run: () => void this.leave() }]);
  }

  #fail(words: Parameters<typeof notice>[0], actions: Action[]): void {
    fill(this.#frame.overlay);
    fill(this.#frame.errors, notice(words, actions));
    record('page', 'error', words.code);
  }


}
