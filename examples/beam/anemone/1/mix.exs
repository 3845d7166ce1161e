defmodule Anemone.MixProject do
  use Mix.Project

  def project do
    [app: :anemone, version: "0.1.0", elixir: "~> 1.14", start_permanent: Mix.env() == :prod]
  end

  def application do
    [
      extra_applications: [:logger],
      mod: {Anemone.Application, []},
      # milliseconds from one number to the next
      env: [interval: 1000]
    ]
  end
end
