//! The page: shows the start or a room, holds the one session at the server, and reads the code behind the `#`.

import { type Lobby, type Net, connect } from 'twocan';
import { wordmark } from './art.ts';
import { el, fill } from './dom.ts';
import { notice } from './notice.ts';
import { connectionFor, readOptions } from './options.ts';
import { exposed, record, recordNet } from './record.ts';
import { Room } from './room.ts';
import { Sound } from './sound.ts';
import { Start } from './start.ts';
import { recallInTab, rememberInTab } from './store.ts';
import { wordsForError } from './words.ts';

/** Separates this demo's lobbies from those of other applications at the same server. */
const APP = 'twocan-demo';

const options = readOptions(location.search);
const sound = new Sound();
const app = document.getElementById('app') ?? document.body;
window.twocan = exposed;

let session: Promise<Net> | undefined;
let view: Start | Room | undefined;

function net(): Promise<Net> {
  session ??= open().catch((error: unknown) => {
    session = undefined;
    throw error;
  });
  return session;
}

async function open(): Promise<Net> {
  const opened = await connect(new URL('.', location.href), {
    app: APP,
    ...(options.relayOnly ? { iceTransportPolicy: 'relay' as const } : {}),
    ...(options.turn ? { RTCPeerConnection: connectionFor(options.turn) } : {}),
  });
  recordNet(opened);
  return opened;
}

function invited(): string | undefined {
  const code = decodeURIComponent(location.hash.slice(1)).trim();
  return /^[0-9a-z]{4,10}$/i.test(code) ? code.toUpperCase() : undefined;
}

function start(invite: string | undefined): void {
  view?.destroy();
  exposed.lobby = undefined;
  document.title = 'Twocan';
  if (invite === undefined && location.hash !== '') history.replaceState(null, '', location.pathname + location.search);
  const page = new Start({ net, enter: room, wake: () => sound.wake() }, invite);
  view = page;
  fill(app, page.element);
}

function room(lobby: Lobby, opened: Net): void {
  view?.destroy();
  history.replaceState(null, '', `${location.pathname}${location.search}#${lobby.code}`);
  document.title = `${lobby.code} · Twocan`;
  rememberInTab('lobby', lobby.code);
  record('page', 'entered', lobby.code);
  const page = new Room(lobby, opened, sound, start);
  view = page;
  fill(app, page.element);
  window.scrollTo(0, 0);
}

window.addEventListener('hashchange', () => {
  const code = invited();
  if (code === undefined || code === exposed.lobby?.code) return;
  if (view instanceof Start) view.invite(code);
  else if (view instanceof Room) void view.leave(code);
});

/** A page that was reloaded has its can again: its address names the lobby that this tab was in. */
async function begin(): Promise<void> {
  const invite = invited();
  if (invite !== undefined && invite === recallInTab('lobby')) {
    fill(app, el('main', { class: 'start plain' }, el('header', { class: 'hero' }, el('h1', { class: 'brand' }, wordmark()), el('p', { class: 'tagline' }, 'Picking up your can again …'))));
    try {
      const opened = await net();
      const lobby = await opened.rejoin();
      if (lobby) return room(lobby, opened);
    } catch (error) {
      record('page', 'error', wordsForError(error).code);
    }
  }
  start(invite);
}

if (typeof RTCPeerConnection === 'undefined' || typeof WebSocket === 'undefined') {
  fill(app, el('main', { class: 'start plain' }, el('header', { class: 'hero' }, el('h1', { class: 'brand' }, wordmark())), notice(wordsForError({ code: 'no-webrtc' }))));
} else void begin();
