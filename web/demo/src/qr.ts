//! A link as a QR code, drawn as one SVG path.

import { encode } from 'uqr';
import { svg } from './dom.ts';

const QUIET = 2;

export function qrOf(text: string): SVGSVGElement {
  const { data, size } = encode(text, { ecc: 'M', border: 0 });
  let path = '';
  data.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const from = x;
      while (x + 1 < row.length && row[x + 1]) x += 1;
      path += `M${from + QUIET} ${y + QUIET}h${x + 1 - from}v1h-${x + 1 - from}z`;
    }
  });
  const whole = size + 2 * QUIET;
  return svg(
    'svg',
    { viewBox: `0 0 ${whole} ${whole}`, role: 'img', 'aria-label': `QR code of ${text}`, class: 'qr', 'shape-rendering': 'crispEdges' },
    svg('rect', { width: whole, height: whole, class: 'qr-paper' }),
    svg('path', { d: path, class: 'qr-ink' }),
  );
}
