/** The classic script: starts by itself, as its `data-` attributes say, and leaves `window.djaffar`. */
import { dropped, init, log, type Options } from './djaffar.js';

const script = document.currentScript as HTMLScriptElement | null;
const { endpoint, route, manual, sample, respectOptOut } = script?.dataset ?? {};
const isOn = (attribute: string | undefined): boolean => attribute !== undefined && attribute !== 'false';

Object.assign(window, { djaffar: { dropped, init, log } });
init({
  // Ingest serves this file beside its endpoints.
  endpoint: endpoint ?? (script?.src ? new URL('.', script.src).href : undefined),
  route: route === 'hash' ? 'hash' : 'path',
  manual: isOn(manual),
  sample: sample ? Number(sample) : undefined,
  respectOptOut: isOn(respectOptOut),
} satisfies Options);
