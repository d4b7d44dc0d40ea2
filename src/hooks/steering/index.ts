/** hooks/steering: queues for packets by receive-side scaling or by programs, with the hash reported. */
export type { QueueCounters, SteeringCounters } from '../../runtime/steering/device.ts';
export { type SteeredPacket, Steering, type SteeringOptions, type SteeringWay } from './steering.ts';
