import LinuxSystem
import Settings

/// Bounds of the settings that this host does not put in force.
enum BoundsHere {
  /// Engine and key, with the controller that is missing.
  static func missing(_ settings: Settings, controllers: Set<String>) -> [(text: String, controller: String)] {
    settings.engines.flatMap { engine in
      engine.bounds.keys.filter { !controllers.contains($0.controller) }.map {
        ("\($0.key) of engine \(engine.name)", $0.controller)
      }
    }
  }

  static func warnings(_ read: ReadSettings, file: String) -> [SettingsWarning] {
    let here = CgroupSupport.controllers
    return read.settings.engines.flatMap { engine in
      engine.bounds.keys.filter { !here.contains($0.controller) }.map { bound in
        let origin = read.origins["engine.\(engine.name).\(bound.key)"]
        return SettingsWarning(
          file: origin?.file ?? file, line: origin?.line ?? 1, column: 1,
          message: "\(bound.key) of engine \(engine.name) is not in force on this host: "
            + "its cgroup v2 has no controller \(bound.controller)")
      }
    }
  }
}
