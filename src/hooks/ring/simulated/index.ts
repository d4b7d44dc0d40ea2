/** hooks/ring/simulated: a ring over a virtual world that runs from one seed, and recorded runs. See backend.ts. */
export { SimulatedBackend, type SimulationOptions } from './backend.ts';
export { cachedLatency, chaos, type Faults, type Latency, mixedLatency, noFaults, type Range } from './faults.ts';
export type { History, HistoryEntry } from './history.ts';
export { type RingRecord, recordFromJson, recordToJson } from './record.ts';
export { RecordingBackend } from './recording-backend.ts';
export {
  type ContentSource,
  Peer,
  type PeerFunctions,
  type PeerScript,
  type PeerStep,
  World,
  type WorldOptions,
} from './world/index.ts';
