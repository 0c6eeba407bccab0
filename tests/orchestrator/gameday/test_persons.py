from orchestrator.gameday.persons import holder, said_by


def test_what_is_not_known_of_a_person_is_not_said():
    assert said_by("ada", "ada (1a2b3c4d)") == "ada (key ada (1a2b3c4d))"
    assert said_by("ada", "") == "ada"
    assert holder("lead", "ada@example.org") == "lead (ada@example.org)"
    assert holder("lead", "") == "lead"
