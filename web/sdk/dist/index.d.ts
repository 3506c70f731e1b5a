import { TwocanError } from './errors.js';
import type { ConnectOptions, Net } from './types.js';
export type * from './types.js';
export { TwocanError };
export type { ErrorCode, LocalCode, ServerCode } from './errors.js';
/**
 * Opens a session at the server.
 *
 * `url` is `wss://host` or `https://host/path` (the socket is at `/v1` below it), or empty for the server that this page came from.
 * Rejects with `no-webrtc` where the browser cannot, `bad-url`, `bad-value`, `unreachable` or `server-full`.
 */
export declare function connect(url: string | URL | Location, options: ConnectOptions): Promise<Net>;
