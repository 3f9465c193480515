import Vocabulary

@testable import Supervision

/// States and events without their data, as the pages under docs/states name them.
extension Worker.State {
  var name: String {
    switch self {
    case .idle: "idle"
    case .waiting: "waiting"
    case .starting: "starting"
    case .ready: "ready"
    case .stopping(let stopping):
      switch stopping.step {
      case .finishing: "stopping: finishing"
      case .saving: "stopping: saving"
      case .leaving: "stopping: leaving"
      case .dumping: "stopping: dumping"
      }
    case .clearing: "clearing"
    case .failed: "failed"
    }
  }
}

extension Event {
  var name: String {
    switch self {
    case .start: "start"
    case .reload(_, let wish): wish.hold == nil ? "reload" : "reload, held"
    case .holdReleased(_, .commit): "hold released: commit"
    case .holdReleased(_, .abort(.asked)): "hold released: abort"
    case .holdReleased(_, .abort): "hold released: caller left"
    case .restart: "restart"
    case .scale: "scale"
    case .pause: "pause"
    case .resume: "resume"
    case .stop: "stop"
    case .stopNow: "stop now"
    case .settingsLoaded: "settings loaded"
    case .settingsRefused: "settings refused"
    case .releaseRefused: "release refused"
    case .listenersRecovered: "listeners recovered"
    case .listenerOpened: "listener opened"
    case .listenerRefused: "listener refused"
    case .listenerMustBeShared: "listener must be shared"
    case .listenerLeft: "listener left"
    case .quiet: "quiet"
    case .spawned: "spawned"
    case .spawnFailed: "spawn failed"
    case .ready: "ready"
    case .showedLife: "showed life"
    case .livenessAnswered(_, let isAlive): isAlive ? "alive" : "not alive"
    case .exited: "exited"
    case .emptied: "emptied"
    case .nothingPending: "nothing pending"
    case .measured: "measured"
    case .served: "requests served"
    case .wasAway: "was away"
    case .saved: "saved"
    case .proofAnswered(_, _, _, let failure): failure == nil ? "proof passed" : "proof failed"
    case .trialChecked(_, _, let failure): failure == nil ? "check passed" : "check failed"
    case .permitted: "permitted"
    case .withdrawn: "withdrawn"
    case .leaseIsUp: "lease is up"
    case .stageWorkDone: "stage work done"
    case .tick: "time is up"
    }
  }
}
