//! The invitation: the code on a tin, the link as a QR code, and buttons that copy or share it.

import { labelTin } from './art.ts';
import { announce, el, setText } from './dom.ts';
import { qrOf } from './qr.ts';

/** Hosts that mean something else on every device. */
const LOOPBACK = /^(localhost|127\.|\[::1\])/;

/** The link that leads to a lobby. */
export function linkTo(code: string): string {
  return `${location.origin}${location.pathname}${location.search}#${code}`;
}

export function invitation(code: string, details: string[]): HTMLElement {
  const link = linkTo(code);
  const shown = el('input', { class: 'field link-field', type: 'text', readonly: true, value: link, 'aria-label': 'The link to this lobby', 'data-test': 'link' });
  shown.addEventListener('focus', () => shown.select());
  const copy = el('button', { class: 'button primary', type: 'button', 'data-test': 'copy' }, 'Copy link');
  copy.addEventListener('click', () => void copyText(link, shown).then((done) => {
    setText(copy, done ? 'Copied' : 'Press Ctrl+C');
    announce(done ? 'The link is copied.' : 'Select the link and copy it.');
    window.setTimeout(() => setText(copy, 'Copy link'), 2000);
  }));
  const share = 'share' in navigator && el('button', { class: 'button', type: 'button', 'data-test': 'share', onclick: () => {
    void navigator.share({ title: 'Twocan', text: 'Pick up the other can:', url: link }).catch(() => undefined);
  } }, 'Share …');
  return el(
    'div',
    { class: 'invite' },
    el('div', { class: 'invite-tin' }, labelTin(code)),
    el('div', { class: 'invite-tag' }, qrOf(link), el('p', {}, 'or point a phone at this')),
    el(
      'div',
      { class: 'invite-words' },
      el('h2', {}, 'Hand somebody the other can'),
      el('p', {}, 'Send the link, or tell them the code. The string goes tight as soon as they are here.'),
      el('div', { class: 'invite-actions' }, shown, copy, share),
      el('p', { class: 'hint' }, details.join(' · ')),
      LOOPBACK.test(location.hostname) && el('p', { class: 'hint' }, 'This link works on this device only. For others, start the server with --public.'),
    ),
  );
}

async function copyText(text: string, field: HTMLInputElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard without HTTPS: the older way needs a selection.
    field.select();
    return document.execCommand('copy');
  }
}
