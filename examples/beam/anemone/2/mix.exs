defmodule Anemone.MixProject do
  use Mix.Project

  def project do
    [
      app: :anemone,
      version: "0.2.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      releases: [anemone: [steps: [:assemble, &ship_appup/1]]]
    ]
  end

  def application do
    [
      extra_applications: [:logger],
      mod: {Anemone.Application, []},
      # milliseconds from one number to the next
      env: [interval: 1000]
    ]
  end

  # An application has one appup, in the language of relup or in that of OTP: APPUP names the file.
  defp ship_appup(release) do
    file = System.get_env("APPUP", "anemone.appup.yaml")
    ebin = Path.join([release.path, "lib", "anemone-#{release.version}", "ebin"])
    File.cp!(file, Path.join(ebin, file))
    release
  end
end
