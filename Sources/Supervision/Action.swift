package import Vocabulary

/// What the runtime is to do, in the order given. It decides nothing and answers with ``Event``s.
package enum Action: Hashable, Sendable {
  // Settings and operations
  /// Reads settings and environment anew and resolves the release, the one that the operation asked for or else that
  /// of `current`. Answer: `settingsLoaded`, `settingsRefused` or `releaseRefused`.
  case loadSettings(OperationID, as: GenerationID)
  /// As `loadSettings`, from what the other generation was resolved to. Answer: `settingsLoaded` or `settingsRefused`.
  case repeatSettings(OperationID, of: GenerationID, as: GenerationID)
  /// Ends an operation: the caller gets the verdict.
  case finish(OperationID, Verdict)
  /// Nothing of this generation is left; its resolved settings may go.
  case forget(GenerationID)

  // Listeners
  /// Makes a listener for a socket of a generation, at once: the order of these is the kernel's order. Answer, before
  /// any other event: `listenerOpened`, `listenerRefused` or `listenerMustBeShared`.
  case open(ListenerID, socket: SocketName, generation: GenerationID)
  /// Sockets told apart by their path: the listener of the rule is renamed over the public path.
  case attach(SocketKey, SteeringProgram, SteeringRule)
  /// Whatever copies there are, it leaves its group now; one that is not there (any more) is no error.
  case close(ListenerID)
  case relisten(ListenerID)
  /// Answer: `quiet`, within a bound, unless it is closed before. At once where something waits and nobody takes it.
  case watchQuiet(ListenerID)

  // Workers
  /// Answer: `spawned` or `spawnFailed`.
  case spawn(WorkerID)
  case terminate(WorkerID)
  /// SIGABRT to one that hangs, so that it can leave a core; `kill` follows.
  case abort(WorkerID)
  /// SIGKILL to everything that belongs to it. Answer: `emptied`.
  case kill(WorkerID)
  /// Repeated until yes. Answer: `ready`.
  case askReadiness(WorkerID)
  /// Once. Answer: `livenessAnswered`.
  case askLiveness(WorkerID)
  /// Repeated until nothing is pending. Answer: `nothingPending`.
  case askPending(WorkerID)
  /// Answer: `measured`, or none where it cannot be had.
  case measure(WorkerID)
  /// Answer: `saved`.
  case save(WorkerID)
  /// One question through the public address. Answer: `proofAnswered`.
  case prove(GenerationID, EngineName, number: Int)
  /// The settings' own check of a candidate on trial. Answer: `trialChecked`; of an earlier round nobody waits for one.
  case checkTrial(GenerationID, round: Int)

  // Leases
  /// An engine is to run under it. Answer: `permitted`, some time.
  case want(LeaseName)
  /// No longer; `vacated` follows if it was permitted.
  case unwant(LeaseName)
  /// Nothing runs under it any more, and nothing is started under it without a new `permitted`.
  case vacated(LeaseName)

  // Shutdown
  /// A stop for good: systemd is to forget the listeners.
  case removeStoredListeners
  /// Answer: `stageWorkDone`.
  case runStageCommand(Stage, Int)
  /// The stage's time is up: kill its command.
  case cutStageCommand(Stage)
  /// Last record, checkpoint, close. Answer: `stageWorkDone`.
  case closeLedger
  /// What was held is given back by now, or cannot be: take leave of the store. Answer: `stageWorkDone`.
  case closeLeases
  case exit(ExitCode)

  // Telling
  case tell(ManagerMessage)
  case note(Note)
}

package enum ManagerMessage: Hashable, Sendable {
  case ready, reloading, stopping
}

package enum ExitCode: Int32, Hashable, Sendable {
  case done = 0
  case failed = 1
}

/// The outcome of an operation, as its caller learns it.
package enum Verdict: Hashable, Sendable {
  case done(GenerationID)
  /// The old state holds: this generation serves, if any does.
  case refused(Refusal, serving: GenerationID?)
  /// Try again later: this operation is under way.
  case busy(OperationID?)
}

/// Why an operation did not do what was asked.
package enum Refusal: Hashable, Sendable {
  case settings(String)
  case release(String)
  case worker(WorkerID, WorkerFault)
  case listener(ListenerID, String)
  /// The new generation's listener left its group while it was tried.
  case listenerLeft(ListenerID)
  case disproved(EngineName, String)
  /// The check of its trial said no.
  case failedCheck(String)
  /// It was proved and waited, and was not committed to.
  case held(HoldEnd)
  case notExclusive(EngineName)
  case stopped
  case unknownEngine(EngineName)
  case nothingStarted
}

/// What happened, for the journal, the ledger and status. One of each transition, in the order of the decisions.
package enum Note: Hashable, Sendable {
  case generationStarting(GenerationID, from: GenerationID?, OperationID)
  case generationProving(GenerationID)
  case generationHeld(GenerationID, Duration, OperationID)
  case generationOnTrial(GenerationID, Share, Duration)
  /// The batch is proved and meets its part of the clients; as many of the serving generation make room.
  case generationRolling(GenerationID, batch: Int, of: Int, Duration)
  case generationServing(GenerationID, from: GenerationID?, OperationID)
  case handoverAborted(GenerationID, Refusal, OperationID)
  case generationDraining(GenerationID)
  case generationEnded(GenerationID)
  case drainCut(GenerationID, DrainBound)
  case settingsRefused(String, OperationID)
  case workerStarting(WorkerID)
  case workerReady(WorkerID)
  /// `wanted`: it ended as asked.
  case workerExited(WorkerID, ExitReason, wanted: Bool)
  case workerFault(WorkerID, WorkerFault)
  case workerWaits(WorkerID, Duration)
  case workerFailed(WorkerID, WorkerFault, crashes: Int)
  case workerKilled(WorkerID, after: Duration)
  /// It is well and is to be replaced.
  case workerRecycling(WorkerID, RecycleReason)
  /// Its successor is at work, and it has ended.
  case workerRecycled(WorkerID)
  /// Its successor did not become ready (nil: was not wanted any more), and it goes on.
  case workerNotRecycled(WorkerID, WorkerFault?)
  case supervisorAway(Duration)
  /// Its engines may work here from now on.
  case leasePermitted(LeaseName)
  case engineScaled(EngineName, from: Int, to: Int)
  case listenerLeft(ListenerID)
  /// What the old listener still held when it was retired.
  case listenerRetired(ListenerID, unfinished: Int)
  /// What a crash left in it cannot be given to a worker: engines of this address never run twice.
  case queueGivenUp(ListenerID)
  case shutdownStarted(ShutdownCause, timeout: Duration)
  case stageEnded(Stage, took: Duration, cut: [WorkerID])
  case shutdownEnded(took: Duration, cut: Int)
}

package enum ShutdownCause: String, Hashable, Sendable, CaseIterable {
  /// For good: the listeners go.
  case stop
  /// Somebody starts us again: the listeners and their queues stay in systemd's store.
  case restart
  /// Nothing could be started.
  case failure
}
