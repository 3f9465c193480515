package import Systemd

// What the journal knows of a kind beside its name. `units/baton.catalog` has a text for each id; a test holds the two
// together. An id is made once, by `systemd-id128 new`, and never changed or used again: people filter by it.

extension MessageKind {
  package var messageID: MessageID {
    switch self {
    case .serviceStarted: MessageID(0x6d7207004244449b, 0xbf68622b9c8f5c21)
    case .generationStarting: MessageID(0x1ffdae8a97dd4b29, 0xbe76000e37c0441a)
    case .generationProving: MessageID(0xdad9541344484247, 0xb45fbb60ebbfbf64)
    case .generationOnTrial: MessageID(0x1a9f55b45bc24b5d, 0x8ffc9ca2c9332c65)
    case .generationServing: MessageID(0xc61cd23dc29a4335, 0x89fd4198449209db)
    case .generationDraining: MessageID(0x5eb8f01abb3b4498, 0xb416dd9f0992106b)
    case .generationEnded: MessageID(0xdadd8a2fcf544648, 0x85d857f2613554e3)
    case .drainCut: MessageID(0xc1d9746b67bb482a, 0x8a2da6ed08c3139a)
    case .handoverAborted: MessageID(0x941cc21aa7054a38, 0x948c1e1a1716f7dd)
    case .operationRefused: MessageID(0xe838179a59334a38, 0x822b37304fa13b46)
    case .settingsRefused: MessageID(0x71fd16e5f92f4762, 0xa44cd8787c78c21b)
    case .workerStarted: MessageID(0xd08d9c8528194112, 0xab2ebc55595eff71)
    case .workerReady: MessageID(0x1565c2907f1e4782, 0xbf19b0b81316c82e)
    case .workerExited: MessageID(0xb12c5d26342b4d50, 0x9dda7f5ac9fc60be)
    case .workerStopped: MessageID(0xbdfe2f2db61f4a50, 0xac92f1cafcfacf20)
    case .workerFault: MessageID(0xcce42850726644a5, 0xa04edc276536d888)
    case .workerWaits: MessageID(0x9c85e5df2367474d, 0x8f4114096cbc25b2)
    case .workerKilled: MessageID(0x39e5f6a74d9c42b8, 0x9d7b753829392e91)
    case .engineFailed: MessageID(0x1f4ed9a056cf4153, 0xb6b775e4496a67f4)
    case .engineScaled: MessageID(0x63c7672a354d495a, 0xbc207f1fd90bdd9e)
    case .listenerRefused: MessageID(0x7a3f3bc26ed5475d, 0x80879ba09707d8d9)
    case .listenerShared: MessageID(0xcfaa8693f3864842, 0xbcfcf33c5237b656)
    case .listenerLeft: MessageID(0xb00d4cce06c94e0c, 0xaa0718a16743e911)
    case .listenerRetired: MessageID(0x01963d61b9794be0, 0x847db3914c3ed78a)
    case .shutdownStarted: MessageID(0x75dcb47061e04242, 0xa22c8e3bf0a617a9)
    case .shutdownStage: MessageID(0xe4b44fb0b466497e, 0xa48aed6008d130a4)
    case .shutdownCut: MessageID(0xb05d92c503bc45b0, 0xb7e7de32b6b6eb0d)
    case .stageCommandFailed: MessageID(0x471976f01a23441e, 0xb07276d4c5f50e3e)
    case .stopped: MessageID(0x6a33f773360a429d, 0xb5f15ec4d961ffa4)
    case .ledgerUnavailable: MessageID(0xb9bc277328814e3f, 0xaf9c45182c39c887)
    case .outputDropped: MessageID(0x7291dff3a0bc4eb0, 0x86ed40969addce34)
    }
  }

  /// error: given up, a person should look. warning: failed, work went on. notice: a state changed. info: lifecycle.
  package var priority: LogPriority {
    switch self {
    case .handoverAborted, .operationRefused, .settingsRefused, .engineFailed, .listenerRefused, .listenerLeft: .error
    case .drainCut, .workerExited, .workerFault, .workerWaits, .workerKilled, .listenerShared, .shutdownCut,
      .stageCommandFailed, .ledgerUnavailable, .outputDropped:
      .warning
    case .serviceStarted, .generationStarting, .generationOnTrial, .generationServing, .engineScaled, .shutdownStarted,
      .shutdownStage, .stopped:
      .notice
    case .generationProving, .generationDraining, .generationEnded, .workerStarted, .workerReady, .workerStopped,
      .listenerRetired:
      .info
    }
  }
}
