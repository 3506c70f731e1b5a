// How long a link waits for what, and how often it tries; see docs/decisions/0017-mending-as-a-whole.md.

/** From the beginning to the first open channel. */
export const CONNECT_MS = 20_000
/** Of silence before a link that is up is asked whether it carries, and between two such questions. */
export const BEAT_MS = 250
/** The same where nobody says anything for long: it doubles up to this. */
export const BEAT_MS_MAX = 3_000
/** For what comes of the questions, besides two round trips: the other side's SCTP acknowledges within 200 ms, and one that is lost is not all. */
export const SILENCE_MS = 500
/** The same where the other side's page has to answer, which may be busy. */
export const REPLY_MS = 1_000
/**
 * Of that, until what the page sends is held. SCTP's timer doubles with each try (0.4, 1.2, 2.8, 6 s), and lets one packet out at a time. While that is not full, a question goes out at once: the first tells a
 * browser that does not nominate of the other way, and three acknowledgements tell SCTP what is missing.
 */
export const HOLD_MS = 100
/** Between two looks at a link that was asked, or is mended. */
export const LOOK_BEAT_MS = 100
/** Questions after each change of the browser's way, and once the link carries again, and how far apart: each has an acknowledgement of its own. */
export const PROBES = 4
/** From one question to the next where something comes while the link is mended, and no answer. */
export const ASK_MS = 500
export const PROBE_MS = 50
/** From when the browser hears nothing to when a link that was up is mended. */
export const FALTER_MS = 2_000
/** From the first sign of trouble to the end of mending. */
export const MEND_MS = 90_000
/** From the first restart to the second, besides four round trips: a browser learns of its networks a second or two late, and the first may have come before that. */
export const SECOND_MS = 1_000
/** How long a page that was closed may take to come back, as a reload does. */
export const RELOAD_MS = 60_000
/** How long one whose link was given up is waited for at the server. */
export const AWAY_MS = 600_000
/** Between two restarts while a link is mended, which come ever later up to this; whoever answered begins half of this later. */
export const RESTART_MS = 8_000
/** From one connection of a link to the next, and twice as long from that to its next, up to ANEW_DOUBLINGS times; half of that is too soon for the other side's. A browser has 500, and those that are closed count for a while. */
export const ANEW_MS = 1_000
export const ANEW_DOUBLINGS = 4
/** For a restart to bring a way, before another one takes its place where the server links us again. */
export const WITHIN_MS = 3_000
/** The same by the clock alone, in a browser that does not live through a restart within a restart: there the server says when the network is back. */
export const STAYS_MS = 15_000
/**
 * Between two looks at a link that is not up, whether so many candidates of the other side came with its checks (peer-reflexive): two NATs that map by destination and let anybody in answer each check from
 * another port, which a browser checks before all else (RFC 8445 7.3.1.4), and pairs by relay never.
 */
export const CROWD_MS = 1_000
export const CROWD = 32
/** What the restart over the link itself is given, before the ticket is used. */
export const ALONE_MS = 200
/** For relayed candidates to wait in a browser that stays with the first way that works, where it decides. */
export const RELAY_MS = 400
/** Steps of negotiation that wait for those before them; a signal that would be one more is passed over. */
export const STEPS_MAX = 256
/** From the goodbye to the end of the connection. */
export const BYE_MS = 100
/** What a control message counts for, or a channel opened besides, in messages (`COST_PER_SECOND`). */
export const CONTROL_COST = 20
/** Between two looks at the statistics for the pair that a link took. */
export const REPORT_MS = 100
