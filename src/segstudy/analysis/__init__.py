"""What the runs of a study say: results, leaderboard, comparisons, verdict, questions."""
