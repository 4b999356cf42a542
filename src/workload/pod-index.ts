import { CronSchedules } from './cron-schedules.js';
import type { NodeFacts, PodFacts } from './kubernetes-object.js';
import { NodeAddresses } from './node-addresses.js';
import type { ObjectEvent } from './object-event.js';
import { Owners, type OwnedBy } from './owners.js';

/** Who had an address at a moment. */
export type AddressHolder =
  /**
   * `isSettled`: nothing that the API may still tell can change the answer. It is false at the edges of a pod's time, and
   * for a pod on its way out, whose address may already be another's.
   */
  { readonly pod: PodFacts; readonly isSettled: boolean } | { readonly node: string } | { readonly ambiguous: true };

export interface PodIndexSize {
  readonly pods: number;
  readonly endedPods: number;
  readonly addresses: number;
  readonly nodeAddresses: number;
  /** Ended pods that were forgotten because there were too many. */
  readonly droppedPods: number;
}

/** What is known about one pod. */
interface PodEntry {
  facts: PodFacts;
  /** `status.startTime`, else the creation, else when it was first heard of. */
  startMs: number;
  firstContainerAtMs: number;
  /** Until then it did not exist: a watch told of its creation at this moment. */
  existedFromMs: number;
  /** Infinity while it may run. */
  endMs: number;
  /** The end is that of its containers, not the (later) deletion of the object. */
  isEndExact: boolean;
  isDeleted: boolean;
  lastEventMs: number;
  /** One for each address that it has or had. */
  readonly uses: AddressUse[];
}

/** That a pod had an address. */
interface AddressUse {
  readonly address: string;
  readonly pod: PodEntry;
  readonly fromMs: number;
  untilMs: number;
}

/**
 * Nodes keep time by NTP, so their clocks agree to well under this. A pod's times are by its node's clock, a look-up's by the
 * clock of CoreDNS's node; a look-up this far outside the time of the only pod with that address is still that pod's.
 */
const CLOCK_SKEW_MS = 2000;

/** Kubernetes writes times in whole seconds, rounded down. */
const TIME_RESOLUTION_MS = 1000;

/** An ADDED this soon after the creation is news; a later one is the list that a watch begins with. */
const NEWS_MS = 2000;

/** About 100 MB; at ten short-lived pods a second more than an hour, and look-ups are attributed within minutes. */
const MAX_ENDED_PODS = 50_000;

/**
 * Who had which address when, learnt from events of Pods, Nodes, ReplicaSets, Jobs and CronJobs in any order of kinds.
 *
 * ```
 *   pod A   |startTime      |first container ........ |last container's end |DELETED
 *   pod B                                                   |startTime    |first container ........
 *                            '------- A, firmly -----'       '- between --' '-- B, firmly ---
 * ```
 *
 * A pod has its address for certain from the start of its first container to the end of its last one. Where that is not
 * known, from its start to its deletion; a later pod with the same address then takes over, if the earlier one is known to
 * have ended. Pods on the host network have no address of their own: they make their node's address known.
 */
export class PodIndex {
  /** When CronJobs run. */
  readonly schedules = new CronSchedules();
  readonly #owners = new Owners();
  readonly #nodes = new NodeAddresses();
  readonly #pods = new Map<string, PodEntry>();
  readonly #podsByName = new Map<string, PodEntry[]>();
  readonly #nodeFacts = new Map<string, NodeFacts>();
  readonly #uses = new Map<string, AddressUse[]>();
  /** In the order in which their end was heard of. */
  readonly #ended = new Set<PodEntry>();
  readonly #maxEndedPods: number;
  #droppedPods = 0;

  constructor({ maxEndedPods = MAX_ENDED_PODS }: { readonly maxEndedPods?: number } = {}) {
    this.#maxEndedPods = maxEndedPods;
  }

  apply(event: ObjectEvent): void {
    const { object } = event;
    switch (object.kind) {
      case 'Pod':
        this.#applyPod(event, object);
        return;
      case 'Node':
        this.#applyNode(event, object);
        return;
      case 'ReplicaSet':
      case 'Job':
        this.#owners.learn(object); // also when deleted: its pods of the past still need it
        return;
      case 'CronJob':
        if (event.type === 'DELETED') this.schedules.forget(object);
        else this.schedules.learn(object);
    }
  }

  /**
   * A complete list of one kind, as a watch gives when it starts again: what is not in it was deleted at some moment since
   * the last event, at the latest now.
   */
  applyList({ kind, objects, namespace, atMs }: ObjectList): void {
    for (const object of objects) this.apply({ atMs, type: 'MODIFIED', object });
    const present = new Set(objects.map(({ uid }) => uid));
    for (const object of this.#known(kind)) {
      const isListed = namespace === undefined || object.namespace === namespace;
      if (isListed && !present.has(object.uid)) this.apply({ atMs, type: 'DELETED', object });
    }
  }

  /** The objects of a kind that go when they are deleted. */
  #known(kind: ObjectList['kind']): readonly ObjectEvent['object'][] {
    if (kind === 'Pod') return [...this.#pods.values()].map(({ facts }) => facts);
    if (kind === 'Node') return [...this.#nodeFacts.values()];
    return kind === 'CronJob' ? this.schedules.all() : [];
  }

  /** Who had the address at that moment; undefined when nobody is known to. The address as in an Observation. */
  find(address: string, atMs: number): AddressHolder | undefined {
    const pod = this.#findPodAt(address, atMs);
    const node = this.#nodes.find(address, atMs, CLOCK_SKEW_MS);
    if (node === undefined) return pod;
    return pod === undefined ? { node } : { ambiguous: true };
  }

  /** The pod of that name at that moment (names are reused as well), else the one that came next. */
  findPod(namespace: string, name: string, atMs: number): PodFacts | undefined {
    const entries = [...(this.#podsByName.get(`${namespace}/${name}`) ?? [])].sort((a, b) => a.startMs - b.startMs);
    return (entries.findLast(({ startMs }) => startMs - CLOCK_SKEW_MS <= atMs) ?? entries[0])?.facts;
  }

  /** Whether the pod's containers had all ended by then, so that it can have asked nothing. */
  hadEnded(pod: PodFacts, atMs: number): boolean {
    const entry = this.#pods.get(pod.uid);
    return entry !== undefined && entry.endMs + CLOCK_SKEW_MS < atMs;
  }

  workloadOf(pod: PodFacts): OwnedBy {
    return this.#owners.workloadOf(pod);
  }

  size(): PodIndexSize {
    return {
      pods: this.#pods.size,
      endedPods: this.#ended.size,
      addresses: this.#uses.size,
      nodeAddresses: this.#nodes.size,
      droppedPods: this.#droppedPods,
    };
  }

  #applyNode({ atMs, type }: ObjectEvent, node: NodeFacts): void {
    const holder = node.uid;
    const startMs = node.createdAtMs ?? atMs;
    const before = this.#nodeFacts.get(holder)?.addresses ?? [];
    const after = type === 'DELETED' ? [] : node.addresses;
    for (const address of before) if (!after.includes(address)) this.#nodes.release({ address, holder, atMs });
    for (const address of after) this.#nodes.claim({ address, node: node.name, startMs, holder });
    if (type === 'DELETED') this.#nodeFacts.delete(holder);
    else this.#nodeFacts.set(holder, node);
  }

  #applyPod(event: ObjectEvent, facts: PodFacts): void {
    const entry = this.#pods.get(facts.uid) ?? this.#add(event, facts);
    if (entry.isDeleted) return; // a uid never comes back: an old event that came late
    entry.facts = facts;
    entry.startMs = facts.startedAtMs ?? entry.startMs;
    entry.firstContainerAtMs = Math.min(entry.firstContainerAtMs, facts.firstContainerAtMs ?? Infinity);
    entry.isDeleted = event.type === 'DELETED';
    this.#learnNode(entry);
    this.#learnUses(entry, event.atMs);
    this.#learnEnd(entry, event.atMs);
    entry.lastEventMs = event.atMs;
  }

  #add({ atMs, type }: ObjectEvent, facts: PodFacts): PodEntry {
    const createdAtMs = facts.createdAtMs ?? -Infinity;
    // A static pod runs before the API server hears of it.
    const isNews = type === 'ADDED' && !facts.isMirror && atMs >= createdAtMs && atMs - createdAtMs < NEWS_MS;
    const entry: PodEntry = {
      facts,
      startMs: facts.startedAtMs ?? facts.createdAtMs ?? atMs,
      firstContainerAtMs: Infinity,
      existedFromMs: isNews ? atMs : -Infinity,
      endMs: Infinity,
      isEndExact: false,
      isDeleted: false,
      lastEventMs: atMs,
      uses: [],
    };
    this.#pods.set(facts.uid, entry);
    addTo(this.#podsByName, nameOf(facts), entry);
    return entry;
  }

  #learnNode({ facts, startMs }: PodEntry): void {
    const { nodeName: node, uid: holder } = facts;
    if (node === undefined) return;
    for (const address of nodeAddressesOf(facts)) this.#nodes.claim({ address, node, startMs, holder });
  }

  #learnUses(entry: PodEntry, atMs: number): void {
    const { addresses, isHostNetwork } = entry.facts;
    // The object of a deleted pod may have lost its addresses; that says nothing about when it lost them.
    if (isHostNetwork || addresses.length === 0) return;
    const lost = entry.uses.filter(({ address, untilMs }) => untilMs === Infinity && !addresses.includes(address));
    for (const use of lost) use.untilMs = atMs;
    // With a new sandbox (after a reboot, say) an address follows another one, at some moment since the last event.
    const fromMs = lost.length > 0 ? entry.lastEventMs : -Infinity;
    for (const address of addresses) {
      const known = entry.uses.find((use) => use.address === address);
      if (known !== undefined) {
        known.untilMs = Infinity; // lost and found again: it has not been another pod's as far as anybody knows
        continue;
      }
      const use: AddressUse = { address, pod: entry, fromMs, untilMs: Infinity };
      entry.uses.push(use);
      addTo(this.#uses, address, use);
    }
  }

  #learnEnd(entry: PodEntry, atMs: number): void {
    const { facts } = entry;
    if (facts.finishedAtMs !== undefined) {
      entry.endMs = facts.finishedAtMs;
      entry.isEndExact = true;
    } else if (facts.isFinished || entry.isDeleted) {
      entry.endMs = Math.max(entry.startMs, Math.min(entry.endMs, atMs));
    }
    if (entry.endMs === Infinity) return;
    for (const address of nodeAddressesOf(facts)) {
      this.#nodes.release({ address, holder: facts.uid, atMs: entry.endMs });
    }
    this.#ended.add(entry);
    this.#dropOldest();
  }

  #dropOldest(): void {
    for (const entry of this.#ended) {
      if (this.#ended.size <= this.#maxEndedPods) return;
      this.#ended.delete(entry);
      this.#pods.delete(entry.facts.uid);
      removeFrom(this.#podsByName, nameOf(entry.facts), entry);
      for (const use of entry.uses) removeFrom(this.#uses, use.address, use);
      this.#droppedPods++;
    }
  }

  #findPodAt(address: string, atMs: number): AddressHolder | undefined {
    const uses = this.#uses.get(address) ?? [];
    const firm = uses.filter((use) => firmStartOf(use) <= atMs && atMs <= endOf(use));
    if (firm.length > 0) return handOver(firm, atMs);
    const near = uses.filter((use) => startOf(use) - CLOCK_SKEW_MS <= atMs && atMs <= endOf(use) + CLOCK_SKEW_MS);
    const [only, ...others] = near;
    if (only === undefined) return undefined;
    return others.length === 0 ? { pod: only.pod.facts, isSettled: false } : { ambiguous: true };
  }
}

export interface ObjectList {
  readonly kind: ObjectEvent['object']['kind'];
  readonly objects: readonly ObjectEvent['object'][];
  /** The list is of this namespace only. */
  readonly namespace?: string;
  readonly atMs: number;
}

/** Of several pods whose times all contain the moment: the last one, once it surely had the address. */
function handOver(uses: readonly AddressUse[], atMs: number): AddressHolder {
  const existing = uses.filter(({ pod }) => pod.existedFromMs <= atMs);
  const [last, ...others] = (existing.length > 0 ? existing : uses).toSorted((a, b) => firmStartOf(b) - firmStartOf(a));
  if (last === undefined) return { ambiguous: true };
  if (others.length === 0) return { pod: last.pod.facts, isSettled: uses.length === 1 && isSettled(last) };
  // The start may be any moment of its second, so within it the address may still have been the other's.
  const hasStarted = firmStartOf(last) + TIME_RESOLUTION_MS <= atMs;
  return hasStarted && others.every((use) => hasYielded(use, atMs))
    ? { pod: last.pod.facts, isSettled: isSettled(last) }
    : { ambiguous: true };
}

function isSettled({ pod, untilMs }: AddressUse): boolean {
  if (pod.endMs < Infinity) return pod.isEndExact;
  return pod.facts.killedByMs === undefined && untilMs === Infinity;
}

/** The pod is known to have ended, or to have been told to end by then. */
function hasYielded(use: AddressUse, atMs: number): boolean {
  return endOf(use) < Infinity || (use.pod.facts.killedByMs ?? Infinity) <= atMs;
}

/** Addresses that tell of the pod's node: a pod on the host network has no other. */
function nodeAddressesOf({ isHostNetwork, nodeAddresses, addresses }: PodFacts): readonly string[] {
  return isHostNetwork ? [...nodeAddresses, ...addresses] : nodeAddresses;
}

function startOf({ pod, fromMs }: AddressUse): number {
  return Math.max(pod.startMs, fromMs);
}

function firmStartOf(use: AddressUse): number {
  const { firstContainerAtMs } = use.pod;
  return Math.max(startOf(use), firstContainerAtMs === Infinity ? -Infinity : firstContainerAtMs);
}

function endOf({ pod, untilMs }: AddressUse): number {
  return Math.min(pod.endMs, untilMs);
}

function nameOf({ namespace, name }: PodFacts): string {
  return `${namespace}/${name}`;
}

/** Lists, not sets: most have one item, and an empty set alone takes 200 bytes. */
function addTo<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function removeFrom<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key);
  const at = list?.indexOf(value) ?? -1;
  if (list === undefined || at === -1) return;
  if (list.length === 1) lists.delete(key);
  else list.splice(at, 1);
}
