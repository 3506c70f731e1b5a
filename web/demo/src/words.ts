//! Every code the page can meet, in a person's words: what happened, why, and what to do.

import type { ErrorCode, FailReason } from 'twocan';

export interface Words {
  what: string;
  why: string;
  todo: string;
}

const words = (what: string, why: string, todo: string): Words => ({ what, why, todo });

const ERRORS: Record<ErrorCode, Words> = {
  'bad-message': words('The server did not understand this page.', 'They are of different versions.', 'Reload the page.'),
  'bad-value': words('The server refused one of the values.', 'A name, a password or a code was too long or held something odd.', 'Shorten it and try again.'),
  'not-found': words(
    'There is no such lobby, or its password is another one.',
    'The server does not say which of the two, so that nobody can guess. Lobbies also go once everyone in them is connected.',
    'Check the code and the password, or ask for a new link.',
  ),
  full: words('All seats are taken.', 'Somebody was faster.', 'Ask for another lobby, or open one yourself.'),
  locked: words('The lobby is locked.', 'Its owner lets nobody in at the moment.', 'Ask the owner to open it, or open one yourself.'),
  sealed: words('They have already begun.', 'The lobby is closed, and about to leave the server.', 'Ask for a new link, or open a lobby yourself.'),
  'already-in-lobby': words('You are in a lobby already.', 'One page can be in one lobby at a time.', 'Leave it first, or reload the page.'),
  'not-in-lobby': words('You are not in this lobby any more.', 'The server has forgotten it.', 'Open a new one, or join by code.'),
  'not-owner': words('Only the owner can do this.', 'The lobby belongs to somebody else.', 'Ask the owner.'),
  'no-such-peer': words('This person is not here any more.', 'They left a moment ago.', 'Wait for them, or invite somebody else.'),
  'no-link': words('There is no connection to this person yet.', 'They have just come, or just gone.', 'Wait a moment and try again.'),
  alone: words('You are alone in here.', 'A string needs two cans.', 'Send the link to somebody first.'),
  kicked: words('You have been shown out of this lobby.', 'Its owner keeps you, and whoever comes from your address, out of it.', 'Ask the owner, or open a lobby yourself.'),
  'bad-ticket': words('The way back is closed.', 'Too much time has passed since you left the server.', 'Open a new lobby.'),
  'rate-limited': words('That was too often.', 'The server takes only so many tries a minute from one address.', 'Wait a little and try again.'),
  'too-many-lobbies': words('There are too many lobbies from your address.', 'The server keeps only so many for one address.', 'Close one of them, or join somebody else.'),
  'shutting-down': words('The server is about to stop.', 'It opens no new lobbies; games in progress go on without it.', 'Try again in a minute.'),
  'no-webrtc': words('This browser has no WebRTC.', 'Without it two browsers cannot talk to each other directly.', 'Use a current Firefox, Chrome, Edge or Safari.'),
  'bad-url': words('The address of the server is not one.', 'It should look like wss://play.example.', 'Correct the link.'),
  unreachable: words('The server does not answer.', 'It is not running, or this device is offline.', 'This page tries again by itself.'),
  'server-full': words('The server is full.', 'Too many people are here, or too many from your address.', 'Try again in a few minutes.'),
  timeout: words('The server took too long to answer.', 'The connection is slow, or was cut.', 'Try again.'),
  closed: words('The lobby was closed.', 'You left, or the page was about to.', 'Open a new one, or join by code.'),
  'session-lost': words('The server has forgotten you.', 'You were away for too long, and somebody else has your seat or its code.', 'Join again by code. Strings that are tight stay tight.'),
  unsealed: words('The server cannot let go yet.', 'Not everybody is connected to everybody.', 'Wait, show somebody out, or go on with the server.'),
  'no-channel': words('That went to a channel that does not exist.', 'This page and the other one are of different versions.', 'Both reload the page.'),
  'too-large': words('That message is too long.', 'A channel carries only so much at once.', 'Send it in parts.'),
  backlog: words('Too much is waiting to be sent.', 'The connection is slower than you are.', 'Wait a moment.'),
  'link-closed': words('The string is cut.', 'The other side left, or the connection was lost.', 'Open a new lobby and send them the link.'),
};

const FAILURES: Record<FailReason, Words> = {
  'no-candidates': words('This device found no address of its own.', 'It has no network, or the browser is told to hide everything.', 'Check the network and any privacy add-on, then try again.'),
  'no-remote-candidates': words('The other side sent no address.', 'Its network is gone, or its browser hides everything.', 'Ask them to check their network, then try again.'),
  'turn-rejected': words('The relay did not accept us.', 'Its credentials were refused or have run out.', 'Reload the page on both sides and try again.'),
  'turn-unreachable': words('The relay cannot be reached.', 'A firewall stands before it, or it is not running.', 'Try another network, for example a phone’s.'),
  'checks-failed': words('Every way to the other side was tried, and none worked.', 'Firewalls on both ends let nothing through, and there was no relay that could help.', 'Try another network on one side, for example a phone’s.'),
  timeout: words('It took too long to connect.', 'One of the networks is very slow, or drops what it does not know.', 'Try again, or try another network.'),
  'dtls-failed': words('The two sides could not agree on a secret.', 'Something between you changed the packets, or one browser is very old.', 'Try again, or update the browser.'),
  'peer-left': words('The other side left.', 'Their page was closed before the string was tight.', 'Wait for them, or send the link again.'),
  'signaling-lost': words('The server was lost in the middle of it.', 'Before you are connected, you need it to find each other.', 'Wait until the server is back, then try again.'),
  incompatible: words('The two pages do not speak the same language.', 'They are of different versions.', 'Reload both pages.'),
};

const UNKNOWN = words('Something went wrong.', 'This page does not know why.', 'Reload it and try again.');

export function wordsForError(error: unknown): Words & { code: string } {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const found = (ERRORS as Record<string, Words>)[code];
  const retry = typeof error === 'object' && error !== null && 'retry' in error ? Number(error.retry) : 0;
  const result = found ?? { ...UNKNOWN, why: error instanceof Error ? error.message : UNKNOWN.why };
  return { ...result, ...(retry > 0 ? { todo: `Wait ${Math.ceil(retry)} s and try again.` } : {}), code: code || 'unknown' };
}

export function wordsForFailure(reason: FailReason): Words & { code: string } {
  return { ...(FAILURES[reason] ?? UNKNOWN), code: reason };
}

/** What a kind of address means to a person. */
export function kindOf(type: string): string {
  switch (type) {
    case 'host':
      return 'its own';
    case 'srflx':
      return 'seen from outside';
    case 'prflx':
      return 'seen by the other side';
    case 'relay':
      return 'at the relay';
    default:
      return type;
  }
}
