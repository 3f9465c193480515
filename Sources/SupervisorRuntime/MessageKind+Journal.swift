package import Systemd

extension MessageKind {
  /// Made once and never changed: `journalctl MESSAGE_ID=` finds the kind, and the catalog explains it.
  package var id: MessageID {
    switch self {
    case .serviceStarted: MessageID(0x2ef20fec638a3659, 0xe8424f0aef821b58)
    case .asked: MessageID(0x6b3ca14cdb80d38b, 0xe3c11709c0444e3d)
    case .generationStarting: MessageID(0x628dae0e982a310c, 0xbf1c2589738e52d1)
    case .generationProving: MessageID(0x521fc48a279b5063, 0xd64c3432fe2dc532)
    case .generationHeld: MessageID(0x2c98312b189a11e5, 0x699777b184b6b42f)
    case .generationOnTrial: MessageID(0x2cbf005c52e3bf1d, 0xb7a286d6c93355ed)
    case .generationRolling: MessageID(0x1eaf8440be54742c, 0x086beb9dad8488d0)
    case .generationServing: MessageID(0x4fadf4723b77fd18, 0xe6e232e1e04dd242)
    case .generationDraining: MessageID(0xf1cde70d8bfb8d85, 0xf73b966d36abcf4a)
    case .generationEnded: MessageID(0x416e1faf4b0360b9, 0xcbbf44f352abe481)
    case .drainCut: MessageID(0xa9bbb062b6901186, 0xda2f2ca71c1aa508)
    case .connectionsCut: MessageID(0x9b1f2f7c6a0d4e58, 0xa3d75c20be916f44)
    case .handoverAborted: MessageID(0x902bce38955049db, 0xeaced4831a21b36a)
    case .operationRefused: MessageID(0x9c40699a0ad17fbc, 0xf2e9423f0106fc92)
    case .settingsRefused: MessageID(0x7f932dad0f6b18fe, 0x6d2b94fb5a3361e5)
    case .workerStarted: MessageID(0xcae29ac56baf2448, 0x304373260d86b291)
    case .workerReady: MessageID(0x1a7e3f3beac17008, 0x339d77740e882eb5)
    case .workerExited: MessageID(0x6866e40b5e4db231, 0xf2b0eecc0882a714)
    case .workerStopped: MessageID(0xfe0683b94efb041e, 0xa6e53d49e48c0746)
    case .workerOutOfMemory: MessageID(0x300b3f6aa5eff3cc, 0x89bce6fb9679056d)
    case .workerFault: MessageID(0x35fc3d38280adb20, 0xe48843b3acb25cf4)
    case .workerWaits: MessageID(0xe05682078a1ab683, 0x77d345321520d89f)
    case .workerKilled: MessageID(0x8a567539e342c343, 0x6ca05ef16903b4e0)
    case .workerRecycling: MessageID(0xaa177b04241967f5, 0xa6f2cd74175ba9e4)
    case .workerRecycled: MessageID(0xb2d0b895cd632246, 0xe670d6fcd7408ae3)
    case .workerNotRecycled: MessageID(0xb432818026444a9e, 0xc04d5c62e3be7974)
    case .supervisorAway: MessageID(0x7f9714412d3d212b, 0x875bb21e1db25625)
    case .workerSignalled: MessageID(0xaef313222ad4f27c, 0x4b329b6adf262f99)
    case .engineFailed: MessageID(0xc44b631d280ba339, 0x279f7e4c90598073)
    case .engineScaled: MessageID(0x5314e29e892f5d54, 0xe6a4133bffb9e417)
    case .listenerRefused: MessageID(0x75d514bbd9f4ba2e, 0x8fdba28fa6f1e64d)
    case .listenerShared: MessageID(0x91277b60e96462bf, 0x2833187ee94bd8dd)
    case .listenerLeft: MessageID(0x15700a56cce1e3d9, 0xc5add7d89428a8c6)
    case .listenerRetired: MessageID(0x073b5889f7515ef3, 0x67b176acdd7d211e)
    case .leasePermitted: MessageID(0xec77141b2b9cfbde, 0xdb9c9191e5e5da0f)
    case .leaseGranted: MessageID(0x06ac0883b18b44c5, 0x6f45c651e04651af)
    case .leaseWaits: MessageID(0xd4d5700a935194bf, 0xcd373232b7102542)
    case .leaseWaitsLong: MessageID(0xa1ce01fd79bdeffc, 0x0180d7bbbc4690a3)
    case .leaseLost: MessageID(0xbf514f0464f2e75c, 0xf07abbf453e10d05)
    case .leaseTwoHolders: MessageID(0x88e302a2a9290f50, 0x155a9e1e6b6afad3)
    case .leaseReturned: MessageID(0x968d61c3ca525b37, 0x7a0eeb0b951130c2)
    case .leaseStoreUnreachable: MessageID(0x4bfdd1b5e6408752, 0x12459d79f704a9db)
    case .leaseStoreAnswers: MessageID(0x353516076aa85fed, 0xa63da152721d2103)
    case .shutdownStarted: MessageID(0x626157729cb8a4b6, 0x7375ac4ca59bc197)
    case .shutdownStage: MessageID(0xd6fde0cc90bd93ca, 0xf822e1826b397685)
    case .shutdownCut: MessageID(0x556caf6094cc31b0, 0xc19e35ee69547e09)
    case .stageCommandFailed: MessageID(0x2898f49e69bac4da, 0xabc38942ba7fea33)
    case .upgraded: MessageID(0x5b0f3a8c61d24e97, 0x9f0c7a1b58e2d346)
    case .upgradeRefused: MessageID(0xc7d41e90ab3f4826, 0x83b65f1d20c9e7a4)
    case .recovered: MessageID(0x1d6e0b9a74c8423f, 0xa5b3207ce9f1d684)
    case .crashMemoryTrouble: MessageID(0xe2948fd7036b4c1a, 0x9d58c61fa07be432)
    case .stopped: MessageID(0xd3ce2435e12e0d57, 0xd03981ebcdddb1e3)
    case .ledgerUnavailable: MessageID(0x02d9a4f4418a8980, 0x6f93af83d7fd9939)
    case .ledgerRecovered: MessageID(0xa487ecde2852da17, 0xdb4573d9cbabd31d)
    case .leftoversEnded: MessageID(0x03d73fbe362a7ba5, 0xf8231598349698ee)
    case .outputDropped: MessageID(0xfded3a2587ecd319, 0x61976eddc5b1e3c3)
    }
  }

  /// Errors are what was given up, warnings what went on in spite of it, notices what changed for clients.
  package var priority: LogPriority {
    switch self {
    case .engineFailed, .settingsRefused, .operationRefused, .upgradeRefused, .handoverAborted, .listenerRefused,
      .leaseTwoHolders:
      .error
    case .workerFault, .workerNotRecycled, .supervisorAway, .workerExited, .workerOutOfMemory, .workerKilled, .drainCut,
      .connectionsCut,
      .leftoversEnded, .listenerLeft,
      .listenerShared, .shutdownCut, .stageCommandFailed, .recovered, .crashMemoryTrouble, .ledgerUnavailable,
      .leaseLost,
      .leaseWaitsLong, .leaseStoreUnreachable,
      .outputDropped:
      .warning
    case .leaseGranted, .leaseReturned, .leaseStoreAnswers, .serviceStarted, .asked, .workerSignalled, .ledgerRecovered,
      .generationServing, .engineScaled,
      .shutdownStarted, .upgraded, .stopped:
      .notice
    case .leasePermitted, .leaseWaits, .generationStarting, .generationProving, .generationHeld, .generationOnTrial,
      .generationRolling,
      .generationDraining, .generationEnded, .workerStarted, .workerReady, .workerStopped, .workerWaits,
      .workerRecycling, .workerRecycled,
      .listenerRetired, .shutdownStage:
      .info
    }
  }
}
