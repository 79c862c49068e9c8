export type { Activity } from './activity.js';
export type { Errors } from './answer.js';
export { dropped, init, log, type Log, type Options } from './djaffar.js';
export type { Drop, Outcome } from './queue.js';
export type { Token } from './transport.js';
export type { Route } from './views.js';
