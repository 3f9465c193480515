/// The kinds of messages, each with a fixed id in the journal and a text in its catalog.
package enum MessageKind: String, Hashable, Sendable, CaseIterable {
  case serviceStarted = "service-started"
  /// Who asked for what is told next.
  case asked
  case generationStarting = "generation-starting"
  case generationProving = "generation-proving"
  /// Proved, and out of sight of clients until whoever asked for it says so.
  case generationHeld = "generation-held"
  case generationOnTrial = "generation-on-trial"
  case generationRolling = "generation-rolling"
  case generationServing = "generation-serving"
  case generationDraining = "generation-draining"
  case generationEnded = "generation-ended"
  case drainCut = "drain-cut"
  /// With the worker that was killed.
  case connectionsCut = "connections-cut"
  case handoverAborted = "handover-aborted"
  /// An operation did not do what was asked; the old state holds, or nothing does.
  case operationRefused = "operation-refused"
  case settingsRefused = "settings-refused"
  case workerStarted = "worker-started"
  case workerReady = "worker-ready"
  /// Ended without being asked to.
  case workerExited = "worker-exited"
  /// Ended as asked.
  case workerStopped = "worker-stopped"
  /// A process of it was killed by the kernel for want of memory.
  case workerOutOfMemory = "worker-out-of-memory"
  case workerFault = "worker-fault"
  case workerWaits = "worker-waits"
  case workerKilled = "worker-killed"
  /// It is well, and is replaced before it grows further.
  case workerRecycling = "worker-recycling"
  case workerRecycled = "worker-recycled"
  case workerNotRecycled = "worker-not-recycled"
  /// Nobody supervised for a while: the process was stopped, or the host.
  case supervisorAway = "supervisor-away"
  /// Somebody asked for it.
  case workerSignalled = "worker-signalled"
  case engineFailed = "engine-failed"
  case engineScaled = "engine-scaled"
  case listenerRefused = "listener-refused"
  case listenerShared = "listener-shared"
  case listenerLeft = "listener-left"
  case listenerRetired = "listener-retired"
  /// Engines under a lease may work here from now on.
  case leasePermitted = "lease-permitted"
  case leaseGranted = "lease-granted"
  /// Another has it.
  case leaseWaits = "lease-waits"
  /// It has not come for five minutes.
  case leaseWaitsLong = "lease-waits-long"
  /// It is not proven any more, or was taken away: its engines are ended.
  case leaseLost = "lease-lost"
  /// Another got it while its engines ran here.
  case leaseTwoHolders = "lease-two-holders"
  case leaseReturned = "lease-returned"
  case leaseStoreUnreachable = "lease-store-unreachable"
  case leaseStoreAnswers = "lease-store-answers"
  case shutdownStarted = "shutdown-started"
  case shutdownStage = "shutdown-stage"
  case shutdownCut = "shutdown-cut"
  case stageCommandFailed = "stage-command-failed"
  /// Another image of the program has taken over, with everything that was there.
  case upgraded = "upgraded"
  case upgradeRefused = "upgrade-refused"
  /// An earlier life of the supervisor ended without notice, and this one goes on from what it left.
  case recovered = "recovered"
  /// What the next life would need cannot be kept, or what the last one left cannot be used.
  case crashMemoryTrouble = "crash-memory-trouble"
  case stopped = "stopped"
  case ledgerUnavailable = "ledger-unavailable"
  case ledgerRecovered = "ledger-recovered"
  case outputDropped = "output-dropped"
  /// What workers of a supervisor that died left behind.
  case leftoversEnded = "leftovers-ended"
}
