/** net/rss: receive-side scaling as virtio has it: the rule, its configuration and its commands. Room of its own; the data plane has the same for packets at speed. */
export { byFlow, type RssResult, rss } from './compute.ts';
export {
  checkConfiguration,
  checkHashConfiguration,
  decodeHashConfig,
  decodeRssConfig,
  defaultRssLimits,
  encodeHashConfig,
  encodeRssConfig,
  type HashConfiguration,
  type RssConfiguration,
  type RssLimits,
  verificationKey,
} from './configuration.ts';
export * from './control.ts';
export { type RssFields, rssFields } from './fields.ts';
export * from './flow-rules.ts';
export { FlowMemory, flowOf } from './flows.ts';
export * from './hash-types.ts';
export type { IpHeaders } from './headers.ts';
export { rssFromJson } from './json.ts';
export {
  assessKey,
  type Flow,
  flowInput,
  hashDelta,
  isSymmetric,
  type KeyAssessment,
  portsForQueue,
  suggestKey,
  symmetricKey,
} from './key.ts';
export { keyWindow, toeplitz } from './toeplitz.ts';
export type { Tunnel } from './tunnels.ts';
