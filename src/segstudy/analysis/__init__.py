"""The analysis of a study's runs: results, leaderboard, comparisons, verdict, questions."""
