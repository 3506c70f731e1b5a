import type { ConnectionClass, SocketClass, TicketStorage } from './io/ports.js';
export type { TicketStorage };
/** A JSON object that the server passes on without looking inside. */
export type JsonObject = {
    [key: string]: unknown;
};
/** An object that JSON can carry: no `Map`, no `Set`, no function. What lies inside of it is looked at when it is sent. */
export type Plain = object & {
    readonly [Symbol.toStringTag]?: never;
    readonly [Symbol.hasInstance]?: never;
};
/** What `send` takes: bytes (a `Blob` or `File` is read first), text, or a value of JSON. What JSON would change without a word is refused with `bad-value`: `Map`, `Set`, `NaN`, functions, bytes inside of it. */
export type Sendable = string | number | boolean | null | ArrayBuffer | ArrayBufferView | Blob | Plain | {
    readonly [key: string]: unknown;
};
/** What arrives: `Uint8Array` where bytes were sent, `string` where text was sent, else the JSON value. */
export type Received = unknown;
/** How an application's own data channel behaves. Both sides must declare the same names in the same way. */
export interface ChannelOptions {
    /** Messages arrive in the order in which they were sent. Default: true. */
    ordered?: boolean;
    /** Give up on a packet after this many retransmissions. Default: never. */
    maxRetransmits?: number;
    /** Give up on a packet after this many milliseconds. Not together with `maxRetransmits`. */
    maxPacketLifeTime?: number;
}
/** What `connect` takes beside the address. */
export interface ConnectOptions {
    /** Separates applications: lobbies of one are never seen by another. 1 to 64 of `A-Z a-z 0-9 . _ -`. */
    app: string;
    /** What the other members of a lobby see of you, at most 512 bytes of JSON. */
    me?: JsonObject;
    /** Channels beside `reliable` and `unreliable`, by name. */
    channels?: Record<string, ChannelOptions>;
    /**
     * Bytes of the longest message sent and received, 1,024 to 67,108,864 (64 MiB). Default: 16,777,216 (16 MiB). Text and JSON have
     * 1 MiB at most in any case. Both sides should say the same: what is longer than the receiver takes is dropped there.
     */
    maxMessage?: number;
    /** `relay` allows relayed connections only. Default: `all`. */
    iceTransportPolicy?: 'all' | 'relay';
    /** STUN and TURN servers beside those that the server names. */
    iceServers?: RTCIceServer[];
    /**
     * Where the way back to a seat is kept, so that a page that is reloaded has it again with `rejoin`. Default: `sessionStorage`, which lives as long as the tab.
     * `null`: nowhere; then a page that is closed or reloaded has left its lobby at once.
     */
    storage?: TicketStorage | null;
    /** Used in place of the global of this name, outside of a browser. */
    WebSocket?: SocketClass;
    /** Used in place of the global of this name, outside of a browser. */
    RTCPeerConnection?: ConnectionClass;
}
/** What `create` takes. */
export interface CreateOptions {
    /** Shown in the list, and found by `quick`. Default: false. */
    public?: boolean;
    /** Seats, 2 to 64. Default: 8. */
    size?: number;
    /** Asked of whoever joins, at most 512 bytes of UTF-8. */
    password?: string;
    /** `long`: ten letters that nobody can guess, for invitations by link. Default: as short as can be without being guessed. */
    code?: 'short' | 'long';
    /** The lobby's own data, at most 2,048 bytes of JSON; a filter matches it by equal values under equal keys. */
    data?: JsonObject;
    /** Replaces the `me` of `connect` in this lobby. */
    me?: JsonObject;
}
/** What `join` takes beside the code. */
export interface JoinOptions {
    /** The lobby's password, where it has one. */
    password?: string;
    /** Replaces the `me` of `connect` in this lobby. */
    me?: JsonObject;
}
/** What `quick` takes beside the filter: how the lobby is made where none matches. */
export interface QuickOptions {
    /** Seats, 2 to 64. Default: 8. */
    size?: number;
    /** The data of the new lobby. Default: the filter. */
    data?: JsonObject;
    /** Replaces the `me` of `connect` in this lobby. */
    me?: JsonObject;
}
/** One row of the list of public lobbies. */
export interface ListedLobby {
    code: string;
    /** A password is asked. */
    password: boolean;
    locked: boolean;
    /** Seats. */
    size: number;
    /** Seats taken. */
    members: number;
    data: JsonObject;
}
/** Stops a listener. */
export type Unsubscribe = () => void;
/** The events of a `LobbyList`, with the arguments of their listeners. */
export interface ListEvents {
    /** The list is different now. */
    change: [lobbies: ListedLobby[]];
    /** No more changes come: `close` was called, a lobby was entered, or another list took its place. */
    close: [];
}
/** Which lobbies of the list come first (`newest` where nothing is said), and how many of them are left out: a list has at most 100, and `skip` is for the next ones. */
export interface ListPage {
    sort?: 'newest' | 'fullest';
    /** 0 to 65,535. */
    skip?: number;
}
/** Public lobbies, kept up to date by the server until `close`, or until a lobby is entered. */
export interface LobbyList extends AsyncIterable<ListedLobby[]> {
    /** The lobbies as they stand, in the order that was asked for, at most 100 at the start; those that come later are first. */
    all(): ListedLobby[];
    /** How many there were in all when the list was made. */
    readonly total: number;
    on<K extends keyof ListEvents>(event: K, listener: (...args: ListEvents[K]) => void): Unsubscribe;
    /** Ends the updates. */
    close(): void;
}
/** The events of a `Net`, with the arguments of their listeners. */
export interface NetEvents {
    /** The socket to the server was cut; the next attempt, counted from 1, starts in `inMs`. */
    reconnecting: [attempt: number, inMs: number];
    /** The server is back. `kept` says whether it still knew us; if not, `net.peer` is new, and our seat in the lobby is asked for again. */
    resumed: [kept: boolean];
    /** No socket to the server, and none is sought: after `complete` (1000), after `close`, or for good reason. The next `create`, `join`, `quick` or `lobbies` opens one. */
    closed: [code: number, reason: string];
}
/** A session at the server. It holds at most one lobby at a time; when that completes, a further call starts the next session. */
export interface Net {
    /** Our public name at the server: eight characters. Lobbies keep the name they were entered with. */
    readonly peer: string;
    /** Opens a lobby; we own it. */
    create(options?: CreateOptions): Promise<Lobby>;
    /** Enters a lobby by its code, read without regard to case. Rejects with `not-found` also where the password is wrong. */
    join(code: string, options?: JoinOptions): Promise<Lobby>;
    /** Enters the fullest open public lobby whose data matches, or opens one. */
    quick(filter?: JsonObject, options?: QuickOptions): Promise<Lobby>;
    /**
     * Comes back to the seat of before a reload, a crash or a long sleep: under the same name, and linked again with whoever is there. A lobby that is gone meanwhile is opened
     * again, under its code where that is free; of one that is complete, the others are met at the server. Resolves with undefined where there is nothing to come back to.
     * With a `ticket` (`lobby.ticket`) it comes back by that instead of what `storage` keeps, and rejects where that is refused: `bad-ticket`, `kicked`, `full`, `locked`, `sealed`.
     */
    rejoin(ticket?: string): Promise<Lobby | undefined>;
    /** The public lobbies whose data matches, live: at most 100, of which `page` says. */
    lobbies(filter?: JsonObject, page?: ListPage): Promise<LobbyList>;
    on<K extends keyof NetEvents>(event: K, listener: (...args: NetEvents[K]) => void): Unsubscribe;
    /** Leaves the lobby if it is not complete, and the server. Links of a completed lobby stay. */
    close(): void;
}
/** A member of a lobby. */
export interface Member {
    /** Public name. */
    readonly peer: string;
    /** What the member says of itself. */
    readonly me: JsonObject;
    /** Its device sleeps or has no network, or its page is reloaded: its seat waits. */
    readonly away?: boolean;
}
/** Where a lobby stands: `gone` after `leave`, or after we were removed. */
export type LobbyState = 'open' | 'sealed' | 'complete' | 'gone';
/** Why a link failed, or could not be mended. */
export type FailReason = 'no-candidates' | 'no-remote-candidates' | 'turn-rejected' | 'turn-unreachable' | 'checks-failed' | 'timeout' | 'dtls-failed' | 'peer-left' | 'signaling-lost' | 'incompatible';
/** A link that did not come up, or could not be mended. */
export interface Failure {
    /** The other side's name. */
    peer: string;
    /** For a program. */
    reason: FailReason;
    /** For a person: one sentence. */
    message: string;
}
/** Why a member is gone: `lost` means that it was away for too long, which says nothing about the link. */
export type LeftWhy = 'left' | 'kicked' | 'lost';
/** Why we are out: with `session-lost`, the server has forgotten us, and our seat could not be had again; links that are up stay up. */
export type RemovedWhy = 'kicked' | 'lobby-closed' | 'session-lost';
/** One message. */
export interface Message {
    /** The channel's name. */
    channel: string;
    data: Received;
}
/** The events of a `Lobby`, with the arguments of their listeners. `peer` and `message` wait for their first listener: up to 4 MiB of messages. */
export interface LobbyEvents {
    /** The link to this peer is up. A peer whose connection had to begin anew is told again, with another link: what was under way on the one before (its `close` is told first) is lost, as for whoever comes late. */
    peer: [peer: Peer];
    message: [message: Message, peer: Peer];
    /** A link did not come up, or could not be mended. `peer.retry()` tries again. */
    fail: [failure: Failure];
    /** Someone came in. The link follows. */
    arrive: [member: Member];
    leave: [member: Member, why: LeftWhy];
    /** Someone's device sleeps or has no network, or the page is reloaded. The seat waits: ten minutes, or 20 s (after `complete`: a minute) where the page was closed. */
    away: [member: Member];
    /** Someone who was away is there again. After a reload another link follows, with `peer`. */
    back: [member: Member];
    /** Someone, or we ourselves, says something else now: `member.me`. */
    member: [member: Member];
    /** The lobby belongs to someone else now. */
    owner: [peer: string];
    /** The lobby's data, visibility or lock changed. */
    update: [];
    /** We are out. */
    removed: [why: RemovedWhy];
    /** Nobody comes in any more; all pairs have this many seconds to link. */
    sealed: [withinSeconds: number];
    /** Open again: these pairs did not link. */
    unsealed: [missing: [string, string][]];
    /** Everyone is linked; the server lets go, and forgets the lobby. */
    complete: [];
    /** A link to a member begins; `peer` follows when it is up. */
    link: [peer: Peer];
    /** How things stand with the server; with `closed`, the WebSocket's code. */
    server: [state: ServerState, code?: number];
}
/** `returning`: to mend a link, after `complete`. `closed`: the session is at its end. */
export type ServerState = 'reconnecting' | 'resumed' | 'returning' | 'closed';
/** A lobby: first at the server, and after `complete` between its members alone. */
export interface Lobby {
    /** Four, five, six, eight or ten characters that lead here. */
    readonly code: string;
    /** Our own name in here. */
    readonly me: string;
    /** The owner's name. */
    readonly owner: string;
    readonly isOwner: boolean;
    /** Everyone, ourselves included, in the order of arrival. */
    readonly members: readonly Member[];
    readonly data: JsonObject;
    readonly size: number;
    readonly locked: boolean;
    readonly public: boolean;
    /** A password is asked. */
    readonly password: boolean;
    readonly state: LobbyState;
    /** The way back to our seat, for `rejoin`: a secret, good for 12 hours, and another one after `complete`. Empty once we are out. */
    readonly ticket: string;
    /** The others, by name, whatever the state of their link. */
    readonly peers: ReadonlyMap<string, Peer>;
    /** All links that are up. */
    readonly all: {
        /**
         * Sends to each; resolves when every link has room for more, but for those that have taken nothing for 10 s: these are not waited
         * for, and 4 MiB may wait for them. Resolves with the peers for whom too much waits already: to them, this was not sent. One that
         * closes meanwhile is passed over; where nobody is linked, the console says so, once. Rejects with `no-channel`, `too-large` or `bad-value`.
         */
        send(channel: string, data: Sendable): Promise<readonly Peer[]>;
    };
    on<K extends keyof LobbyEvents>(event: K, listener: (...args: LobbyEvents[K]) => void): Unsubscribe;
    /** Resolves when everyone is linked and the server has let go. Called by the owner, it seals the lobby, and rejects with `unsealed` where some pair does not link in time. */
    start(): Promise<void>;
    /** Says goodbye to everyone and closes the links. */
    leave(): Promise<void>;
    /** Owner only: shows a member out, for as long as the lobby lives: neither it nor anybody from its address comes back, as long as no other member is there from the same address. With `ban: false` it may. */
    kick(peer: string | Peer, options?: {
        ban?: boolean;
    }): Promise<void>;
    /** Says something else of ourselves, at most 512 bytes of JSON: all hear of it, and we too, with `member`. Until the lobby is complete. */
    setMe(me: JsonObject): Promise<void>;
    /** Owner only: keeps newcomers out, or lets them in again. */
    lock(locked?: boolean): Promise<void>;
    /** Owner only: replaces the data, or changes who can see the lobby. */
    update(change: {
        data?: JsonObject;
        public?: boolean;
    }): Promise<void>;
}
/** `mending`: it was up, and is being restarted. `failed`: given up, until `retry`. */
export type PeerState = 'connecting' | 'open' | 'mending' | 'failed' | 'closed';
/** The events of a `Peer`, with the arguments of their listeners. */
export interface PeerEvents {
    message: [message: Message];
    state: [state: PeerState];
    /** The link is closed for good. */
    close: [];
}
/** The way packets take. */
export type Path = 'direct' | 'relayed';
/** The kind of an address (RFC 8445, 4). */
export type CandidateType = 'host' | 'srflx' | 'prflx' | 'relay';
/** A link's figures. */
export interface PeerStats {
    /** `relayed` if either end is a relay. Undefined until a pair is selected. */
    path?: Path | undefined;
    /** Milliseconds since data goes by the pair of addresses that is in use. */
    pathMs?: number | undefined;
    /** Kind of our own address. */
    local?: CandidateType | undefined;
    /** Kind of the other's address. */
    remote?: CandidateType | undefined;
    /** `udp` or `tcp` between the two candidates. */
    protocol?: string | undefined;
    /** `udp`, `tcp` or `tls` between us and our relay, where our end is relayed. */
    relayProtocol?: string | undefined;
    /** Round trip, milliseconds, as last measured by ICE. */
    rttMs?: number | undefined;
    bytesSent: number;
    bytesReceived: number;
    /** Pieces, messages and signals that could not be read, or were beyond a limit, since the start. */
    discarded: number;
}
/** The other end of a link. */
export interface Peer {
    /** Its name. */
    readonly id: string;
    /** What it says of itself. */
    readonly me: JsonObject;
    readonly state: PeerState;
    /** Milliseconds from the beginning to the first open channel; undefined before. */
    readonly connectMs: number | undefined;
    /** Queues a message; resolves when there is room for the next one (at most 256 KiB wait in a channel). Rejects with `no-channel`, `bad-value` (not JSON), `too-large` (longer than `maxMessage`, than 1 MiB of text or JSON, than one piece where the channel carries no more; or JSON of more than 65,536 values or 64 levels), `backlog` (64 MiB wait), `timeout` (a message of several pieces was 50 s on its way, and is given up) or `link-closed`. On a channel that is not reliable, the oldest waiting messages give way. */
    send(channel: string, data: Sendable): Promise<void>;
    on<K extends keyof PeerEvents>(event: K, listener: (...args: PeerEvents[K]) => void): Unsubscribe;
    stats(): Promise<PeerStats>;
    /** Tries a failed link again. */
    retry(): void;
    /** Says goodbye and closes the link. */
    close(): void;
}
