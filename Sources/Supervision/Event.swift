package import Vocabulary

/// What the runtime observed. Each names its generation, so that late news is recognised as late.
package enum Event: Hashable, Sendable {
  // Asked by people and the manager
  case start(OperationID)
  case reload(OperationID, ReloadWish = ReloadWish())
  /// The word a held candidate waits for.
  case holdReleased(OperationID, HoldRelease)
  /// Interrupts: every worker ends in order, then a new generation starts behind the same listeners.
  case restart(OperationID)
  case scale(EngineName, to: Int, OperationID)
  /// Nothing new is begun for the time being: reloads wait, the rest is told to try again. What is under way goes on.
  case pause(OperationID)
  case resume
  case stop(ShutdownCause)
  /// Cuts a shutdown short.
  case stopNow

  // Settings
  case settingsLoaded(OperationID, GenerationPlan)
  case settingsRefused(OperationID, String)
  /// The release that was asked for is not there, or no release.
  case releaseRefused(OperationID, String)

  // Listeners
  /// Before the first `settingsLoaded`. Where several of an address came back after a crash: their order, and whom clients
  /// meet. `last`: the highest number among all that are kept for us, which no new one may have.
  case listenersRecovered([SteeringGroup], last: UInt64)
  /// `isPermanent`: it was handed over by a socket unit, which keeps a copy of its own.
  case listenerOpened(ListenerID, isPermanent: Bool = false)
  case listenerRefused(ListenerID, String)
  /// No second listener can be had here (another user owns the first): the generations share it.
  case listenerMustBeShared(ListenerID)
  /// A worker called shutdown(2) on it.
  case listenerLeft(ListenerID)
  case quiet(ListenerID, unfinished: Int)

  // Workers
  case spawned(WorkerID)
  case spawnFailed(WorkerID, String)
  case ready(WorkerID)
  case showedLife(WorkerID)
  case livenessAnswered(WorkerID, isAlive: Bool)
  /// The main process has been reaped.
  case exited(WorkerID, ExitReason)
  /// And nothing of its group is left.
  case emptied(WorkerID)
  case nothingPending(WorkerID)
  /// What it takes with all it started.
  case measured(WorkerID, memory: ByteCount)
  /// How many requests it has answered, as it says.
  case served(WorkerID, requests: UInt64)
  case saved(WorkerID)
  case proofAnswered(GenerationID, EngineName, number: Int, failure: String?)
  case trialChecked(GenerationID, round: Int, failure: String?)

  // Leases
  /// Engines may work under it, until further notice.
  case permitted(LeaseName)
  /// No longer: everything under it is to end.
  case withdrawn(LeaseName)
  /// What is left under it is to be killed.
  case leaseIsUp(LeaseName)

  // Shutdown
  /// A command ended, or the ledger or the store of the leases is closed. A command that was cut does not answer.
  case stageWorkDone(Stage)

  /// The supervisor did not run for so long (SIGSTOP, a host that stood still), and goes on.
  case wasAway(Duration)
  /// The instant of ``Supervisor/nextDeadline`` has come.
  case tick
}
