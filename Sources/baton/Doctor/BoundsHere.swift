import LinuxSystem
import Settings
import Vocabulary

/// Bounds of the settings that this host does not put in force.
enum BoundsHere {
  struct Missing {
    let engine: EngineName
    let key: String
    let controller: String

    var text: String { "\(key) of engine \(engine)" }
  }

  static func missing(_ settings: Settings, controllers: Set<String>) -> [Missing] {
    settings.engines.flatMap { engine in
      engine.bounds.keys.filter { !controllers.contains($0.controller) }.map {
        Missing(engine: engine.name, key: $0.key, controller: $0.controller)
      }
    }
  }

  static func warnings(_ read: ReadSettings, file: String) -> [SettingsWarning] {
    missing(read.settings, controllers: CgroupSupport.controllers).map { bound in
      let origin = read.origins["engine.\(bound.engine).\(bound.key)"]
      return SettingsWarning(
        file: origin?.file ?? file, line: origin?.line ?? 1, column: 1,
        message: "\(bound.text) is not in force on this host: its cgroup v2 has no controller \(bound.controller)")
    }
  }
}
